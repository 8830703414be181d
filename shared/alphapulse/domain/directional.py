"""How directed a move is: Wilder's directional movement system and Kaufman's efficiency ratio.

Aligned to the last bar, and refusing what cannot be computed, as :mod:`alphapulse.domain.indicators` does.

References
----------
J. Welles Wilder, New Concepts in Technical Trading Systems, 1978 (DI, DX, ADX).
Perry J. Kaufman, Smarter Trading, 1995 (efficiency ratio).
TA-Lib, https://ta-lib.org/functions/ (seeds and lookbacks of ADX, PLUS_DI and MINUS_DI).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import (
    FloatArray,
    IndicatorError,
    NotFinite,
    checked,
    checked_bars,
    range_of,
    wilder,
)
from alphapulse.domain.rolling import percent, ratio, windows
from alphapulse.domain.smoothing import smoothed

ADX_PERIOD: Final = 14
EFFICIENCY_PERIOD: Final = 10


@dataclass(frozen=True, slots=True)
class Directional:
    """Wilder's lines of equal length, each in [0, 100].

    Attributes
    ----------
    adx : ndarray
        Strength of the trend, whichever way it goes.
    plus_di, minus_di : ndarray
        Share of the true range that went up, and down.
    """

    adx: FloatArray
    plus_di: FloatArray
    minus_di: FloatArray


def adx(
    highs: ArrayLike, lows: ArrayLike, closes: ArrayLike, period: int = ADX_PERIOD, *, newest: bool = False
) -> Directional:
    """Return Wilder's average directional index and indicators; lookback ``2 * period - 1``.

    As in TA-Lib the sums of movement and range are seeded with the first ``period - 1`` bars that have one
    before them, and the ADX with the mean of the first ``period`` indices. Where nothing has moved yet, the
    index is 0. TA-Lib takes sums below 1e-14 for nothing, whatever the price; here only 0 is nothing, so that
    the unit of the price does not matter.

    Parameters
    ----------
    highs, lows, closes : array_like, shape (n,)
        At least ``2 * period`` bars.
    period : int
        Bars; at least 2.
    newest : bool
        Whether only the newest values are wanted.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When the series differ in length, or the period is less than 2.
    """
    if period < 2:  # noqa: PLR2004 - one bar has no bars before it to seed the sums with
        raise IndicatorError(f"the period of an ADX must be at least 2, was {period}")
    bars = checked_bars(highs, lows, closes, needed=2 * period, period=period)
    plus, minus, whole = _movements(*bars, period)
    if not np.isfinite(whole[-1]):
        raise NotFinite("the ranges are too large for float64")
    average: FloatArray = wilder(percent(np.abs(plus - minus), plus + minus)[None], period, newest=newest)[0]
    length = len(average)
    return Directional(
        # Weights that sum to 1 but for rounding may carry a mean of hundreds past it.
        adx=np.minimum(average, 100.0),
        plus_di=percent(plus[-length:], whole[-length:]),
        minus_di=percent(minus[-length:], whole[-length:]),
    )


def efficiency_ratio(closes: ArrayLike, period: int = EFFICIENCY_PERIOD) -> FloatArray:
    """Return Kaufman's efficiency ratio: the way made over the way gone; lookback ``period``.

    Returns
    -------
    ndarray, shape (n - period,)
        In [0, 1]: 1 for a move in one direction only, 0 where the price came back or did not move.

    Raises
    ------
    NotEnoughBars, NotFinite
    """
    series = checked(closes, needed=period + 1, period=period)
    made = np.abs(series[period:] - series[:-period])
    gone = np.add.reduce(windows(np.abs(series[1:] - series[:-1]), period), axis=-1)
    efficiency: FloatArray = np.minimum(ratio(made, gone), 1.0)
    return efficiency


def _movements(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> FloatArray:
    up, down = high[1:] - high[:-1], low[:-1] - low[1:]
    rises, falls = np.maximum(up, 0.0) * (up > down), np.maximum(down, 0.0) * (down > up)
    parts = np.array((rises, falls, range_of(high, low, close)))
    first = period - 1
    seed = np.add.reduce(parts[:, :first], axis=1) / period
    sums: FloatArray = smoothed(parts[:, first:], seed, 1.0 / period)[:, 1:]
    return sums
