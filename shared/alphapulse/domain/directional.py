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

from alphapulse.domain.indicators import FloatArray, IndicatorError, NotFinite, checked, percent, true_range
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


def adx(highs: ArrayLike, lows: ArrayLike, closes: ArrayLike, period: int = ADX_PERIOD) -> Directional:
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

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When the series differ in length, or the period is less than 2.
    """
    if period < 2:  # noqa: PLR2004 - one bar has no bars before it to seed the sums with
        raise IndicatorError(f"the period of an ADX must be at least 2, was {period}")
    high, low = (checked(series, needed=2 * period, period=period) for series in (highs, lows))
    ranges = true_range(high, low, closes)
    up, down = high[1:] - high[:-1], low[:-1] - low[1:]
    rises = np.where((up > down) & (up > 0.0), up, 0.0)
    falls = np.where((down > up) & (down > 0.0), down, 0.0)
    parts = np.stack((rises, falls, ranges))
    first = period - 1
    plus, minus, whole = smoothed(parts[:, first:], parts[:, :first].sum(axis=1) / period, 1.0 / period)[
        :, 1:
    ]
    if not np.isfinite(whole[-1]):
        raise NotFinite("the ranges are too large for float64")
    index = percent(np.abs(plus - minus), plus + minus)
    average: FloatArray = smoothed(index[None, period:], index[:period].mean()[None], 1.0 / period)[0]
    return Directional(
        adx=average, plus_di=percent(plus, whole)[first:], minus_di=percent(minus, whole)[first:]
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
    gone = np.lib.stride_tricks.sliding_window_view(np.abs(series[1:] - series[:-1]), period).sum(axis=-1)
    ratio: FloatArray = np.minimum(np.divide(made, gone, out=np.zeros_like(made), where=gone > 0.0), 1.0)
    return ratio
