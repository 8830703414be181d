"""Technical indicators over whole series, as TA-Lib defines them.

Every function takes one-dimensional ``float64`` series, oldest bar first, and returns only the values that
exist, aligned to the last bar: a series of ``n`` bars with a lookback of ``k`` gives ``n - k`` values. Too
few bars and values that are not finite are errors; NaN is never passed on. The same numbers bar by bar are
in :mod:`alphapulse.domain.incremental`.

References
----------
J. Welles Wilder, New Concepts in Technical Trading Systems, 1978 (RSI, ATR).
TA-Lib, https://ta-lib.org/functions/ (seeds and lookbacks).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]

RSI_PERIOD: Final = 14
MACD_FAST: Final = 12
MACD_SLOW: Final = 26
MACD_SIGNAL: Final = 9
BOLLINGER_PERIOD: Final = 20
BOLLINGER_DEVIATIONS: Final = 2.0
ATR_PERIOD: Final = 14

# Recursions run in blocks of this many bars, each one matrix product: a step of Python only per block, and
# no division by vanishing powers of the decay.
_BLOCK: Final = 64


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
    series = _checked(values, needed=period, period=period)
    return _window_mean(series, period)


def ema(values: ArrayLike, period: int) -> FloatArray:
    """Return the exponential moving average, seeded with the mean of the first ``period`` values.

    The smoothing factor is ``2 / (period + 1)``; lookback ``period - 1``.
    """
    series = _checked(values, needed=period, period=period)
    return _ema(series, period)


def rsi(closes: ArrayLike, period: int = RSI_PERIOD) -> FloatArray:
    """Return Wilder's relative strength index; lookback ``period``.

    Parameters
    ----------
    closes : array_like, shape (n,)
        At least ``period + 1`` closes.
    period : int
        Bars; the first average is the mean of the first ``period`` changes.

    Returns
    -------
    ndarray, shape (n - period,)
        In [0, 100]. Zero where there was neither gain nor loss at all, as TA-Lib has it.

    Raises
    ------
    NotEnoughBars, NotFinite
    """
    series = _checked(closes, needed=period + 1, period=period)
    changes = np.diff(series)
    gains = _wilder(np.maximum(changes, 0.0), period)
    moves = gains + _wilder(np.maximum(-changes, 0.0), period)
    return np.divide(100.0 * gains, moves, out=np.zeros_like(moves), where=moves > 0.0)


def macd(
    closes: ArrayLike, *, fast: int = MACD_FAST, slow: int = MACD_SLOW, signal: int = MACD_SIGNAL
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
    series = _checked(closes, needed=slow + signal - 1, period=min(fast, signal))
    line = _ema(series[slow - fast :], fast) - _ema(series, slow)
    average = _ema(line, signal)
    line = line[signal - 1 :]
    return Macd(macd=line, signal=average, histogram=line - average)


def bollinger(
    closes: ArrayLike, period: int = BOLLINGER_PERIOD, *, deviations: float = BOLLINGER_DEVIATIONS
) -> Bollinger:
    """Return Bollinger bands with the population standard deviation; lookback ``period - 1``.

    Raises
    ------
    NotEnoughBars, NotFinite
    """
    series = _checked(closes, needed=period, period=period)
    middle = _window_mean(series, period)
    deviation = sliding_window_view(series, period).std(axis=-1)
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
    high, low, close = (_checked(series, needed=2, period=1) for series in (highs, lows, closes))
    if not len(high) == len(low) == len(close):
        raise IndicatorError(
            f"highs, lows and closes must be equally long, were {len(high)}, {len(low)} and {len(close)}"
        )
    return np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])


def atr(highs: ArrayLike, lows: ArrayLike, closes: ArrayLike, period: int = ATR_PERIOD) -> FloatArray:
    """Return Wilder's average true range; lookback ``period``.

    The first true range is the second bar's; the first average is the mean of the first ``period`` of them.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When the series differ in length.
    """
    _checked(closes, needed=period + 1, period=period)
    return _wilder(true_range(highs, lows, closes), period)


def _checked(values: ArrayLike, *, needed: int, period: int) -> FloatArray:
    if period < 1:
        raise IndicatorError(f"a period must be at least 1, was {period}")
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise IndicatorError(f"a series must have one dimension, had {series.ndim}")
    if len(series) < needed:
        raise NotEnoughBars(needed, len(series))
    if not np.isfinite(series).all():
        raise NotFinite(f"value {int(np.argmin(np.isfinite(series)))} of the series is not finite")
    return series


def _window_mean(series: FloatArray, period: int) -> FloatArray:
    mean: FloatArray = sliding_window_view(series, period).mean(axis=-1)
    return mean


def _ema(series: FloatArray, period: int) -> FloatArray:
    return _smoothed(series[period:], seed=float(series[:period].mean()), share=2.0 / (period + 1.0))


def _wilder(series: FloatArray, period: int) -> FloatArray:
    return _smoothed(series[period:], seed=float(series[:period].mean()), share=1.0 / period)


def _smoothed(series: FloatArray, *, seed: float, share: float) -> FloatArray:
    # y[t] = (1 - share) y[t-1] + share x[t], y[0] = seed.
    carried, mixed = _block_weights(share)
    smoothed = np.empty(len(series) + 1)
    smoothed[0] = seed
    for start in range(0, len(series), _BLOCK):
        block = series[start : start + _BLOCK]
        size = len(block)
        smoothed[start + 1 : start + 1 + size] = (
            carried[:size] * smoothed[start] + mixed[:size, :size] @ block
        )
    return smoothed


@lru_cache(maxsize=32)
def _block_weights(share: float) -> tuple[FloatArray, FloatArray]:
    decay = 1.0 - share
    steps = np.arange(_BLOCK)
    distance = steps[:, None] - steps[None, :]
    mixed = np.where(distance >= 0, share * decay ** np.maximum(distance, 0), 0.0)
    return np.asarray(decay ** (steps + 1.0), np.float64), np.asarray(mixed, np.float64)
