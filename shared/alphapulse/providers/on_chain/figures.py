"""The names of on-chain figures, and series built of what a source gave."""

import datetime as dt
import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from alphapulse.domain.agents.evidence import DailySeries, end_of

PRICE: Final = "price_usd"
MARKET_CAP: Final = "market_cap_usd"
REALISED_CAP: Final = "realised_cap_usd"
MVRV: Final = "mvrv"
TRANSFER_VOLUME: Final = "transfer_volume_usd"
ACTIVE_ADDRESSES: Final = "active_addresses"
TRANSACTIONS: Final = "transactions"
FEES: Final = "fees_usd"
SUPPLY: Final = "supply"
#: In terahashes a second.
HASH_RATE: Final = "hash_rate"

NAMES: Final = (
    PRICE,
    MARKET_CAP,
    REALISED_CAP,
    MVRV,
    TRANSFER_VOLUME,
    ACTIVE_ADDRESSES,
    TRANSACTIONS,
    FEES,
    SUPPLY,
    HASH_RATE,
)

#: Days asked for: six years, of which means over several years can be made.
HISTORY_DAYS: Final = 2_192

#: Figures by name and day; a hole is absent or NaN.
ByDay = Mapping[str, Mapping[dt.date, float]]


def figure_of(value: object) -> float:
    """Return a figure of an answer; NaN for null, and for what none of these can be: negative, infinite.

    Parameters
    ----------
    value
        A number, or a decimal number as text.

    Raises
    ------
    TypeError, ValueError
        It is neither, nor null.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"a figure must be a number, was {type(value).__name__}")
    number = float(value)
    return number if math.isfinite(number) and number >= 0 else math.nan


def series_of(figures: ByDay, *, source: str, now: dt.datetime) -> dict[str, DailySeries]:
    """Return the series of all figures that have at least one finite value.

    Parameters
    ----------
    figures
        By name and day. Days that have not ended are left out: their figures are not complete.
    source
        Where they come from.
    now
        Aware, UTC.
    """
    found = {}
    # Most figures have the same days, which are then kept once.
    known: dict[tuple[dt.date, ...], tuple[dt.date, ...]] = {}
    for name, by_day in figures.items():
        days = tuple(sorted(day for day in by_day if end_of(day) <= now))
        days = known.setdefault(days, days)
        values = np.array([by_day[day] for day in days], dtype=np.float64)
        values[np.isinf(values)] = np.nan  # a product of absurd figures
        if np.isfinite(values).any():
            values.flags.writeable = False  # all who read it share it
            found[name] = DailySeries(name, days, values, source, now)
    return found


def quotient(dividend: Mapping[dt.date, float], divisor: Mapping[dt.date, float]) -> dict[dt.date, float]:
    """Return the quotient of two figures on the days that have both; a hole where the divisor is 0."""
    return {
        day: dividend[day] / divisor[day] if divisor[day] else math.nan
        for day in dividend.keys() & divisor.keys()
    }


def product(one: Mapping[dt.date, float], other: Mapping[dt.date, float]) -> dict[dt.date, float]:
    """Return the product of two figures on the days that have both."""
    return {day: one[day] * other[day] for day in one.keys() & other.keys()}
