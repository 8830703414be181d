"""Simulated supply figures, which go with the clock and agree with the simulated candles and chains."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Literal

import numpy as np

from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import SignalInput
from alphapulse.providers.candles.simulation import ASSETS, DAY_SECONDS, FIRST_DAY, Simulation
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.network_simulation import network_of, supply_of
from alphapulse.providers.source import SourceContext
from alphapulse.providers.supply import figures


class SimulatedSupply:
    """Figures of all assets that have simulated candles.

    Parameters
    ----------
    context
        Tells seed and time.
    """

    name: Literal["simulated"] = "simulated"

    def __init__(self, context: SourceContext) -> None:
        self._simulation = Simulation(context.options.seed)
        self._clock = context.clock

    def covers(self, asset: str) -> bool:
        """Tell whether the asset has simulated candles."""
        return asset in ASSETS

    async def fetch(self, asset: str) -> Mapping[str, SignalInput]:
        """Return the figures at the end of the last minute.

        Raises
        ------
        AssetUnknown
            The asset is not simulated, or nothing is yet at this time.
        """
        as_of = Interval.MINUTE.open_of(self._clock())
        if not self.covers(asset) or as_of.timestamp() < (FIRST_DAY + 1) * DAY_SECONDS:
            raise AssetUnknown(f"{asset} is not simulated")
        return await asyncio.to_thread(self._figures, asset, as_of)

    def _figures(self, asset: str, as_of: dt.datetime) -> Mapping[str, SignalInput]:
        seconds, network = int(as_of.timestamp()), network_of(asset)
        tick = ASSETS[asset].anchor * 1e-9
        minute = self._simulation.bars(
            asset, Interval.MINUTE, first_open=seconds - 60, end=seconds, tick=tick, lot=1.0
        )
        price = float(minute.close[0]) * tick
        day = np.array([seconds / DAY_SECONDS])
        supply = float(supply_of(network, day)[0])
        today = day.astype(np.int64)
        volume = 0.03 * float(np.exp(0.4 * self._simulation.shocks(f"{asset}/turnover_24h", today)[0]))
        # Holders change slowly: a few thousandths from day to day.
        drift = 1 + 0.003 * float(self._simulation.shocks(f"{asset}/holders", today)[0])
        values = {
            figures.PRICE: price,
            figures.MARKET_CAP: price * supply,
            figures.CIRCULATING: supply,
            figures.VOLUME: price * supply * volume,
            figures.TOP_10: network.top_10 * drift,
            figures.TOP_100: network.top_100 * drift,
        }
        if network.max_supply is not None:
            values[figures.MAX_SUPPLY] = network.max_supply
        return figures.inputs(values, as_of=as_of, source=self.name)
