"""Simulated on-chain series, which go with the clock and agree with the simulated candles."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Final, Literal

from alphapulse.domain.agents.evidence import DailySeries
from alphapulse.providers.candles.simulation import ASSETS, DAY_SECONDS, FIRST_DAY, Simulation
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.network_simulation import simulate
from alphapulse.providers.on_chain import figures
from alphapulse.providers.source import SourceContext

_EPOCH: Final = dt.date(1970, 1, 1)


class SimulatedOnChain:
    """The chains of all assets that have simulated candles.

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

    async def fetch(self, asset: str) -> Mapping[str, DailySeries]:
        """Return six years, up to the day before today.

        Raises
        ------
        AssetUnknown
            The asset is not simulated, or nothing is yet at this time.
        """
        now = self._clock()
        last_day = int(now.timestamp()) // DAY_SECONDS - 1
        if not self.covers(asset) or last_day < FIRST_DAY:
            raise AssetUnknown(f"{asset} is not simulated")
        return await asyncio.to_thread(self._series, asset, last_day, now)

    def _series(self, asset: str, last_day: int, now: dt.datetime) -> Mapping[str, DailySeries]:
        values = simulate(self._simulation, asset, last_day)
        first_day = max(FIRST_DAY, last_day + 1 - figures.HISTORY_DAYS)
        days = tuple(_EPOCH + dt.timedelta(days=day) for day in range(first_day, last_day + 1))
        made = {}
        for name, figure in values.items():
            kept = figure[first_day - FIRST_DAY :].copy()
            kept.flags.writeable = False  # all who read it share it
            made[name] = DailySeries(name, days, kept, self.name, now)
        return made
