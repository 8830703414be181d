"""The arithmetic of simulated prices: hashed randomness, daily levels, minutes within a day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alphapulse.domain.instruments import Interval

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
HashArray: TypeAlias = NDArray[np.uint64]

DAY_SECONDS: Final = 86_400
MINUTES_PER_DAY: Final = 1_440
#: No bar is older.
FIRST_DAY: Final = int(datetime(2018, 1, 1, tzinfo=UTC).timestamp()) // DAY_SECONDS

# Share of yesterday's distance from the anchor that is left today: a half-life of about 140 days.
_PERSISTENCE: Final = 0.995
_CALMEST_DAY: Final = 0.6
_WILDEST_DAY: Final = 1.6
# A chunk of days stays within the processor's cache.
_DAYS_PER_CHUNK: Final = 8
_LEVELS_AHEAD: Final = 400
_MARKET: Final = "market"

# The constants of splitmix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Asset:
    """How a base currency moves.

    Attributes
    ----------
    anchor : float
        Price it returns to, in US dollars.
    daily_volatility : float
        Standard deviation of a day's log return.
    market_share : float
        Correlation of its days with what is common to all, in [0, 1].
    volume_per_minute : float
        Typical, in the base currency.
    """

    anchor: float
    daily_volatility: float
    market_share: float
    volume_per_minute: float


ASSETS: Final[Mapping[str, Asset]] = {
    "BTC": Asset(64_000.0, 0.025, 0.85, 4.0),
    "ETH": Asset(3_200.0, 0.032, 0.80, 60.0),
    "SOL": Asset(150.0, 0.042, 0.70, 900.0),
    "BNB": Asset(580.0, 0.027, 0.70, 120.0),
    "XRP": Asset(0.6, 0.036, 0.60, 200_000.0),
    "ADA": Asset(0.45, 0.038, 0.65, 150_000.0),
    "DOGE": Asset(0.15, 0.045, 0.55, 800_000.0),
    "LTC": Asset(85.0, 0.032, 0.70, 400.0),
    "AVAX": Asset(35.0, 0.044, 0.65, 1_500.0),
    "LINK": Asset(15.0, 0.040, 0.65, 4_000.0),
}


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars as whole numbers of ticks and lots, oldest first.

    Attributes
    ----------
    open_seconds : ndarray of int64, shape (n,)
        Since 1970.
    open, high, low, close : ndarray of int64, shape (n,)
        In ticks.
    volume : ndarray of int64, shape (n,)
        In lots.
    """

    open_seconds: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume: IntArray


class Simulation:
    """Make the bars of a seed.

    Parameters
    ----------
    seed : int
        The same seed always gives the same bars.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._levels: dict[str, FloatArray] = {}

    def bars(
        self, base: str, interval: Interval, *, first_open: int, end: int, tick: float, lot: float
    ) -> Bars:
        """Return the bars that open in a span of time.

        Parameters
        ----------
        base : str
            A key of :data:`ASSETS`.
        interval : Interval
            Length of a bar.
        first_open, end : int
            Seconds since 1970, whole intervals; bars open at or after the first and before the second.
        tick, lot : float
            Increments that prices and volumes are counted in.
        """
        first_day, last_day = first_open // DAY_SECONDS, (end - 1) // DAY_SECONDS
        chunks = [
            self._chunk(base, interval, np.arange(day, min(day + _DAYS_PER_CHUNK, last_day + 1)), tick, lot)
            for day in range(first_day, last_day + 1, _DAYS_PER_CHUNK)
        ]
        columns = np.concatenate(chunks, axis=1)
        opens = first_day * DAY_SECONDS + np.arange(columns.shape[1]) * interval.seconds
        wanted = slice(
            (first_open - int(opens[0])) // interval.seconds, (end - int(opens[0])) // interval.seconds
        )
        return Bars(opens[wanted], *(column[wanted] for column in columns))

    def closes(self, base: str, days: IntArray) -> FloatArray:
        """Return the last prices of days (since 1970) in US dollars, before they are rounded to a tick."""
        midnights = self._midnights(base, int(days[-1]) + 1)
        return np.exp(midnights[days + 1 - FIRST_DAY])

    def shocks(self, name: str, days: IntArray) -> FloatArray:
        """Return a random number per day (since 1970), of mean 0 and variance 1, others for each name."""
        return _bell(self._day_hashes(name, days))

    def _chunk(self, base: str, interval: Interval, days: IntArray, tick: float, lot: float) -> IntArray:
        asset = ASSETS[base]
        bits = self._hashes(base, days)
        spread = self._minute_volatility(base, days)
        # Top 32 bits move the price; 12, 10 and 10 of the rest make the two wicks and the volume.
        moves = (bits >> np.uint64(32)).astype(np.float64) / 2.0**31 - 1.0
        levels = self._minute_levels(base, days, moves * spread * np.sqrt(3.0))
        above = _unit(bits, shift=20, width=12) ** 2 * spread
        below = _unit(bits, shift=10, width=10) ** 2 * spread
        activity = (0.25 + 1.5 * _unit(bits, shift=0, width=10)) * (0.4 + 1.2 * np.abs(moves))
        shape = (-1, interval.seconds // 60)
        opens, closes = levels[:, :-1], levels[:, 1:]
        highs, lows = np.maximum(opens, closes) + above, np.minimum(opens, closes) - below
        prices = (
            opens.reshape(shape)[:, 0],
            highs.reshape(shape).max(axis=1),
            lows.reshape(shape).min(axis=1),
            closes.reshape(shape)[:, -1],
        )
        lots = np.rint(asset.volume_per_minute / lot * activity).astype(np.int64).reshape(shape).sum(axis=1)
        return np.vstack([*(np.rint(np.exp(price) / tick).astype(np.int64) for price in prices), lots])

    def _minute_levels(self, base: str, days: IntArray, moves: FloatArray) -> FloatArray:
        # A bridge: the minutes' own sum is tilted so that the day ends where the next begins.
        midnights = self._midnights(base, int(days[-1]) + 1)
        start, end = midnights[days - FIRST_DAY], midnights[days + 1 - FIRST_DAY]
        levels = np.empty((len(days), MINUTES_PER_DAY + 1))
        levels[:, 0] = start
        walked = np.cumsum(moves, axis=1)
        tilt = (end - start - walked[:, -1])[:, None] * (np.arange(1, MINUTES_PER_DAY + 1) / MINUTES_PER_DAY)
        levels[:, 1:] = start[:, None] + walked + tilt
        # Exactly, so that the last close of a day and the first open of the next are the same.
        levels[:, -1] = end
        return levels

    def _midnights(self, base: str, last_day: int) -> FloatArray:
        known = self._levels.get(base)
        if known is None or len(known) <= last_day - FIRST_DAY:
            known = self._levels[base] = self._walk(base, last_day + _LEVELS_AHEAD - FIRST_DAY)
        return known

    def _walk(self, base: str, count: int) -> FloatArray:
        asset = ASSETS[base]
        days = FIRST_DAY + np.arange(count)
        own = _bell(self._day_hashes(base, days))
        common = _bell(self._day_hashes(_MARKET, days))
        shocks = asset.market_share * common + np.sqrt(1.0 - asset.market_share**2) * own
        distance, distances = 0.0, []
        for shock in (asset.daily_volatility * shocks).tolist():
            distances.append(distance)
            distance = _PERSISTENCE * distance + shock
        return np.asarray(np.log(asset.anchor) + np.array(distances), dtype=np.float64)

    def _minute_volatility(self, base: str, days: IntArray) -> FloatArray:
        mood = _unit(self._day_hashes(f"{base}/mood", days), shift=0, width=32)
        factor = _CALMEST_DAY + (_WILDEST_DAY - _CALMEST_DAY) * mood
        per_minute: FloatArray = (ASSETS[base].daily_volatility / np.sqrt(MINUTES_PER_DAY) * factor)[:, None]
        return per_minute

    def _hashes(self, base: str, days: IntArray) -> HashArray:
        minutes = days[:, None] * MINUTES_PER_DAY + np.arange(MINUTES_PER_DAY)
        return _splitmix(self._key(f"{base}/minutes"), minutes)

    def _day_hashes(self, name: str, days: IntArray) -> HashArray:
        return _splitmix(self._key(f"{name}/days"), days)

    def _key(self, name: str) -> np.uint64:
        digest = blake2b(f"{self._seed}/{name}".encode(), digest_size=8).digest()
        return np.uint64(int.from_bytes(digest, "big"))


def _splitmix(key: np.uint64, counters: IntArray) -> HashArray:
    # Products of arrays wrap around modulo 2**64, which is what the hash wants.
    mixed = counters.astype(np.uint64) * _GOLDEN + key
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    return mixed ^ (mixed >> np.uint64(31))


def _unit(bits: HashArray, *, shift: int, width: int) -> FloatArray:
    mask = np.uint64((1 << width) - 1)
    part: FloatArray = ((bits >> np.uint64(shift)) & mask).astype(np.float64) / float(1 << width)
    return part


def _bell(bits: HashArray) -> FloatArray:
    # The sum of four uniform parts, scaled to variance 1: bounded, and close enough to normal.
    total = sum((_unit(bits, shift=shift, width=16) for shift in (0, 16, 32, 48)), np.zeros(len(bits)))
    return np.asarray((total - 2.0) * np.sqrt(3.0), dtype=np.float64)
