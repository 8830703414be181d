"""The arithmetic of a simulated network: what its chain would show at the simulated prices.

Prices are those of the simulated candles. All else follows from them and from the seed: market value is
price times supply; realised value follows the price slowly, as coins change hands a little every day; volume
and activity swing around a share of the market value, more on days that the price moves; fees follow
activity. So the figures agree with each other, as those of a real network do.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from alphapulse.providers.candles.simulation import (
    ASSETS,
    DAY_SECONDS,
    FIRST_DAY,
    FloatArray,
    IntArray,
    Simulation,
)
from alphapulse.providers.on_chain import figures

_YEAR_DAYS: Final = 365.25
#: The day on which a network has the supply of its traits.
_REFERENCE_DAY: Final = int(dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()) // DAY_SECONDS
# Share of coins that change hands in a day, at the day's price.
_TURNOVER: Final = 0.006
#: Share of the coins that are lost, or have not moved since they cost next to nothing.
_DORMANT: Final = 0.45
_VELOCITY: Final = 0.012
_GROWTH_PER_YEAR: Final = 0.08
_HASH_GROWTH_PER_YEAR: Final = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What distinguishes one simulated network from another.

    Attributes
    ----------
    supply : float
        Coins on the first of January 2026.
    max_supply : float or None
        Coins there can ever be.
    issuance : float
        Growth of supply in a year.
    active_addresses : float
        Typical, in a day, at the anchor price.
    fee_usd : float
        Of a typical transaction.
    hash_rate : float or None
        Terahashes a second on that day; None without mining.
    top_10, top_100 : float
        Shares of the supply that the largest holders have.
    """

    supply: float
    max_supply: float | None = None
    issuance: float = 0.01
    active_addresses: float = 20_000
    fee_usd: float = 0.05
    hash_rate: float | None = None
    top_10: float = 0.25
    top_100: float = 0.45


_DEFAULT: Final = Network(supply=1e9, max_supply=1e9, issuance=0.0)

NETWORKS: Final[Mapping[str, Network]] = {
    "ADA": Network(supply=36e9, max_supply=45e9, issuance=0.02, active_addresses=30_000, fee_usd=0.1),
    "AVAX": Network(supply=430e6, max_supply=720e6, issuance=0.04, active_addresses=45_000, fee_usd=0.03),
    "BNB": Network(
        supply=138e6, issuance=-0.03, active_addresses=1_100_000, fee_usd=0.1, top_10=0.6, top_100=0.8
    ),
    "BTC": Network(
        supply=19.97e6,
        max_supply=21e6,
        issuance=0.008,
        active_addresses=750_000,
        fee_usd=1.5,
        hash_rate=9e8,
        top_10=0.055,
        top_100=0.145,
    ),
    "DOGE": Network(
        supply=152e9,
        issuance=0.033,
        active_addresses=60_000,
        fee_usd=0.02,
        hash_rate=2_500,
        top_10=0.42,
        top_100=0.65,
    ),
    "ETH": Network(supply=120.7e6, issuance=0.002, active_addresses=480_000, fee_usd=0.6, top_10=0.31),
    "LINK": Network(supply=697e6, max_supply=1e9, issuance=0.05, active_addresses=3_500, top_10=0.33),
    "LTC": Network(
        supply=76.7e6,
        max_supply=84e6,
        issuance=0.014,
        active_addresses=330_000,
        fee_usd=0.01,
        hash_rate=2_800,
        top_10=0.13,
        top_100=0.36,
    ),
    "SOL": Network(supply=560e6, issuance=0.045, active_addresses=2_500_000, fee_usd=0.01, top_10=0.12),
    "XRP": Network(
        supply=60.5e9, max_supply=100e9, issuance=0.02, active_addresses=25_000, fee_usd=0.001, top_10=0.41
    ),
}


def network_of(asset: str) -> Network:
    """Return the traits of a simulated network."""
    return NETWORKS.get(asset, _DEFAULT)


def simulate(simulation: Simulation, asset: str, last_day: int) -> dict[str, FloatArray]:
    """Return all figures of a network from the first simulated day to a last one.

    Parameters
    ----------
    simulation
        Gives prices and randomness.
    asset
        One that has simulated candles.
    last_day
        Since 1970; at least the first day of the simulation.

    Returns
    -------
    dict of name to ndarray of float64, shape (n,)
        One value per day, no holes.
    """
    network, days = network_of(asset), np.arange(FIRST_DAY, last_day + 1)
    price = simulation.closes(asset, days)
    supply = supply_of(network, days.astype(np.float64))
    market_cap = price * supply
    turnover = 1 + 0.3 * simulation.shocks(f"{asset}/turnover", days)
    realised_cap = (1 - _DORMANT) * _realised_price(price, turnover) * supply
    found = {
        figures.PRICE: price,
        figures.MARKET_CAP: market_cap,
        figures.REALISED_CAP: realised_cap,
        figures.MVRV: market_cap / realised_cap,
        figures.SUPPLY: supply,
        **_activity(simulation, asset, days, price=price, market_cap=market_cap),
    }
    if network.hash_rate is not None:
        growth = np.exp(_HASH_GROWTH_PER_YEAR * _years(days)) * (price / ASSETS[asset].anchor) ** 0.3
        noise = np.exp(0.04 * simulation.shocks(f"{asset}/hashes", days))
        found[figures.HASH_RATE] = network.hash_rate * growth * noise
    return found


def supply_of(network: Network, days: FloatArray) -> FloatArray:
    """Return the coins there are on days since 1970, which may be fractions."""
    grown = network.supply * np.exp(network.issuance * (days - _REFERENCE_DAY) / _YEAR_DAYS)
    return grown if network.max_supply is None else np.minimum(grown, network.max_supply)


def _activity(
    simulation: Simulation, asset: str, days: IntArray, *, price: FloatArray, market_cap: FloatArray
) -> dict[str, FloatArray]:
    network, level = network_of(asset), price / ASSETS[asset].anchor
    moves = np.abs(np.diff(np.log(price), prepend=np.log(price[0]))) / ASSETS[asset].daily_volatility
    mood = _slow(simulation.shocks(f"{asset}/mood", days))

    def noise(what: str, deviation: float) -> FloatArray:
        return deviation * simulation.shocks(f"{asset}/{what}", days)

    busy = np.exp(0.25 * mood + noise("addresses", 0.06) + 0.03 * moves + _GROWTH_PER_YEAR * _years(days))
    addresses = network.active_addresses * np.sqrt(level) * busy
    transactions = 0.55 * addresses * np.exp(noise("transactions", 0.05))
    fee = network.fee_usd * level * np.exp(0.6 * mood + noise("fees", 0.25))
    velocity = _VELOCITY * np.exp(0.35 * mood + noise("volume", 0.2) + 0.2 * moves)
    return {
        figures.TRANSFER_VOLUME: market_cap * velocity,
        figures.ACTIVE_ADDRESSES: np.rint(addresses),
        figures.TRANSACTIONS: np.rint(transactions),
        figures.FEES: transactions * fee,
    }


def _years(days: IntArray) -> FloatArray:
    years: FloatArray = (days - _REFERENCE_DAY) / _YEAR_DAYS
    return years


def _realised_price(price: FloatArray, turnover: FloatArray) -> FloatArray:
    realised, before = np.empty_like(price), float(price[0])
    shares = np.clip(_TURNOVER * turnover, 0.0, 1.0).tolist()
    for at, (now, share) in enumerate(zip(price.tolist(), shares, strict=True)):
        before += share * (now - before)
        realised[at] = before
    return realised


def _slow(shocks: FloatArray) -> FloatArray:
    """Turn independent shocks into a mood that lasts for weeks, of about the same variance."""
    persistence = 0.97
    mood, before = np.empty_like(shocks), 0.0
    scale = np.sqrt(1 - persistence**2)
    for at, shock in enumerate(shocks.tolist()):
        before = persistence * before + scale * shock
        mood[at] = before
    return mood
