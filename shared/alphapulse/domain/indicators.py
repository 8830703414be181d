"""Technical indicators over whole series, as TA-Lib defines them.

Every function takes one-dimensional ``float64`` series, oldest bar first, and returns only the values that
exist, aligned to the last bar: a series of ``n`` bars with a lookback of ``k`` gives ``n - k`` values. Too
few bars and values that are not finite are errors; NaN is never passed on. With ``newest`` only the last
value is computed, the same but for rounding, in a fraction of the time. The same numbers bar by bar are in
:mod:`alphapulse.domain.incremental`.

References
----------
J. Welles Wilder, New Concepts in Technical Trading Systems, 1978 (RSI, ATR).
TA-Lib, https://ta-lib.org/functions/ (seeds and lookbacks).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alphapulse.domain.rolling import percent, window_mean, windows
from alphapulse.domain.smoothing import smoothed, smoothed_end

FloatArray: TypeAlias = NDArray[np.float64]

RSI_PERIOD: Final = 14
MACD_FAST: Final = 12
MACD_SLOW: Final = 26
MACD_SIGNAL: Final = 9
BOLLINGER_PERIOD: Final = 20
BOLLINGER_DEVIATIONS: Final = 2.0
ATR_PERIOD: Final = 14

# Finding the weight of every close takes time that grows with the square of their number.
_WEIGHED_BARS: Final = 1000
_CLOSES_AT_ONCE: Final = 100


class IndicatorError(ValueError):
    """Root of what makes an indicator impossible."""


class NotEnoughBars(IndicatorError):
    """A series is shorter than an indicator needs.

    Attributes
    ----------
    needed, found : int
        Numbers of bars.
    """

    def __init__(self, needed: int, found: int) -> None:
        super().__init__(f"needs {needed} bars, found {found}")
        self.needed = needed
        self.found = found


class NotFinite(IndicatorError):
    """A series contains NaN or an infinity."""


@dataclass(frozen=True, slots=True)
class Macd:
    """MACD lines of equal length: fast less slow average, its average, and the difference of the two."""

    macd: FloatArray
    signal: FloatArray
    histogram: FloatArray


@dataclass(frozen=True, slots=True)
class Bollinger:
    """Bollinger bands of equal length; ``deviation`` is one population standard deviation."""

    upper: FloatArray
    middle: FloatArray
    lower: FloatArray
    deviation: FloatArray


def sma(values: ArrayLike, period: int) -> FloatArray:
    """Return the simple moving average; lookback ``period - 1``."""
    series = checked(values, needed=period, period=period)
    return window_mean(series, period)


def ema(values: ArrayLike, period: int, *, newest: bool = False) -> FloatArray:
    """Return the exponential moving average, seeded with the mean of the first ``period`` values.

    The smoothing factor is ``2 / (period + 1)``; lookback ``period - 1``.
    """
    series = checked(values, needed=period, period=period)
    average: FloatArray = _ema(series[None], period, newest=newest)[0]
    return average


def rsi(closes: ArrayLike, period: int = RSI_PERIOD, *, newest: bool = False) -> FloatArray:
    """Return Wilder's relative strength index; lookback ``period``.

    Parameters
    ----------
    closes : array_like, shape (n,)
        At least ``period + 1`` closes.
    period : int
        Bars; the first average is the mean of the first ``period`` changes.
    newest : bool
        Whether only the newest value is wanted.

    Returns
    -------
    ndarray, shape (n - period,)
        In [0, 100]. Zero where there was neither gain nor loss at all, as TA-Lib has it.

    Raises
    ------
    NotEnoughBars, NotFinite
    """
    series = checked(closes, needed=period + 1, period=period)
    changes = series[1:] - series[:-1]
    # The average move is that of the gains and that of the losses together.
    both = np.array((np.maximum(changes, 0.0), np.abs(changes)))
    gains, moves = wilder(both, period, newest=newest)
    return percent(gains, moves)


def macd(
    closes: ArrayLike,
    *,
    fast: int = MACD_FAST,
    slow: int = MACD_SLOW,
    signal: int = MACD_SIGNAL,
    newest: bool = False,
) -> Macd:
    """Return moving average convergence and divergence; lookback ``slow + signal - 2``.

    As in TA-Lib both averages start at the same bar: the fast one is seeded with the mean of the ``fast``
    closes that end where the slow one's seed ends.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When ``fast`` is not less than ``slow``.
    """
    if not fast < slow:
        raise IndicatorError(f"fast must be less than slow, was {fast} and {slow}")
    series = checked(closes, needed=slow + signal - 1, period=min(fast, signal))
    if newest and len(series) <= _WEIGHED_BARS:
        lines = _macd_weights(len(series), fast, slow, signal) @ series
        return Macd(macd=lines[:1], signal=lines[1:2], histogram=lines[2:])
    line, average = _macd_lines(series[None], fast, slow, signal)
    first = len(average[0]) - 1 if newest else 0
    line, average = line[0, first:], average[0, first:]
    return Macd(macd=line, signal=average, histogram=line - average)


def bollinger(
    closes: ArrayLike, period: int = BOLLINGER_PERIOD, *, deviations: float = BOLLINGER_DEVIATIONS
) -> Bollinger:
    """Return Bollinger bands with the population standard deviation; lookback ``period - 1``.

    Raises
    ------
    NotEnoughBars, NotFinite
    """
    series = checked(closes, needed=period, period=period)
    middle = window_mean(series, period)
    apart = windows(series, period) - middle[:, None]
    deviation: FloatArray = np.sqrt(np.add.reduce(np.square(apart), axis=-1) / period)
    spread = deviations * deviation
    return Bollinger(upper=middle + spread, middle=middle, lower=middle - spread, deviation=deviation)


def true_range(highs: ArrayLike, lows: ArrayLike, closes: ArrayLike) -> FloatArray:
    """Return the true range from the second bar on: the bar's range, extended to the close before it.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When the series differ in length.
    """
    return range_of(*checked_bars(highs, lows, closes, needed=2, period=1))


def atr(
    highs: ArrayLike,
    lows: ArrayLike,
    closes: ArrayLike,
    period: int = ATR_PERIOD,
    *,
    newest: bool = False,
) -> FloatArray:
    """Return Wilder's average true range; lookback ``period``.

    The first true range is the second bar's; the first average is the mean of the first ``period`` of them.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When the series differ in length.
    """
    bars = checked_bars(highs, lows, closes, needed=period + 1, period=period)
    average: FloatArray = wilder(range_of(*bars)[None], period, newest=newest)[0]
    return average


def checked(values: ArrayLike, *, needed: int, period: int) -> FloatArray:
    """Return a series as an array that an indicator can be taken of.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When it has more than one dimension, or the period is less than 1.
    """
    if period < 1:
        raise IndicatorError(f"a period must be at least 1, was {period}")
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise IndicatorError(f"a series must have one dimension, had {series.ndim}")
    if len(series) < needed:
        raise NotEnoughBars(needed, len(series))
    finite = np.isfinite(series)
    if not finite.all():
        raise NotFinite(f"value {int(np.argmin(finite))} of the series is not finite")
    return series


def checked_bars(
    highs: ArrayLike, lows: ArrayLike, closes: ArrayLike, *, needed: int, period: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return highs, lows and closes as arrays of one length.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When they differ in length, or as :func:`checked` says.
    """
    high, low, close = (checked(series, needed=needed, period=period) for series in (highs, lows, closes))
    if not len(high) == len(low) == len(close):
        raise IndicatorError(
            f"highs, lows and closes must be equally long, were {len(high)}, {len(low)} and {len(close)}"
        )
    return high, low, close


def range_of(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return the true range of bars that are checked."""
    ranges: FloatArray = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    return ranges


def wilder(series: FloatArray, period: int, *, newest: bool = False) -> FloatArray:
    """Return Wilder's averages of the rows of `series`, each seeded with the mean of ``period`` values."""
    smooth = smoothed_end if newest else smoothed
    return smooth(series[:, period:], np.add.reduce(series[:, :period], axis=1) / period, 1.0 / period)


def _ema(series: FloatArray, period: int, *, newest: bool = False) -> FloatArray:
    smooth = smoothed_end if newest else smoothed
    return smooth(
        series[:, period:], np.add.reduce(series[:, :period], axis=1) / period, 2.0 / (period + 1.0)
    )


def _macd_lines(series: FloatArray, fast: int, slow: int, signal: int) -> tuple[FloatArray, FloatArray]:
    line = _ema(series[:, slow - fast :], fast) - _ema(series, slow)
    return line[:, signal - 1 :], _ema(line, signal)


@lru_cache(maxsize=16)
def _macd_weights(bars: int, fast: int, slow: int, signal: int) -> FloatArray:
    # The lines are sums of closes, weighted: what each close adds is what the lines of it alone are. Some
    # closes at a time, because each takes a whole series.
    found = np.empty((3, bars))
    for start in range(0, bars, _CLOSES_AT_ONCE):
        some = np.eye(min(_CLOSES_AT_ONCE, bars - start), bars, start)
        line, average = (lines[:, -1] for lines in _macd_lines(some, fast, slow, signal))
        found[:, start : start + len(some)] = line, average, line - average
    return found
