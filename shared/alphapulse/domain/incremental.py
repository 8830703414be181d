"""The indicators bar by bar, each update in time that does not grow with the bars before.

Every class takes one bar in ``update`` and returns the value at that bar, or None while there are too few
bars. Values that are not finite are refused before they can spoil the state.
"""

import math
from collections import deque
from itertools import pairwise

from alphapulse.domain.directional import ADX_PERIOD, EFFICIENCY_PERIOD
from alphapulse.domain.indicators import (
    ATR_PERIOD,
    BOLLINGER_DEVIATIONS,
    BOLLINGER_PERIOD,
    MACD_FAST,
    MACD_SIGNAL,
    MACD_SLOW,
    RSI_PERIOD,
    IndicatorError,
    NotFinite,
)


class Smoothed:
    """An average seeded with the simple mean of ``period`` values that then takes a share of each new one.

    Parameters
    ----------
    period : int
        Values in the seed.
    share : float
        Weight of a new value: ``2 / (period + 1)`` for an EMA, ``1 / period`` for Wilder's.
    """

    def __init__(self, period: int, share: float) -> None:
        if period < 1:
            raise IndicatorError(f"a period must be at least 1, was {period}")
        self._period = period
        self._share = share
        self._seed: list[float] = []
        self._value: float | None = None

    def update(self, value: float) -> float | None:
        """Take one value and return the average at it."""
        _require_finite(value)
        if self._value is not None:
            self._value += self._share * (value - self._value)
            return self._value
        self._seed.append(value)
        if len(self._seed) == self._period:
            self._value = math.fsum(self._seed) / self._period
            self._seed.clear()
        return self._value


class Ema(Smoothed):
    """Exponential moving average."""

    def __init__(self, period: int) -> None:
        super().__init__(period, 2.0 / (period + 1.0))


class Wilder(Smoothed):
    """Wilder's moving average."""

    def __init__(self, period: int) -> None:
        # The period is checked by the parent, which must be reached even for a period of zero.
        super().__init__(period, 1.0 / max(period, 1))


class _Window:
    def __init__(self, period: int) -> None:
        if period < 1:
            raise IndicatorError(f"a period must be at least 1, was {period}")
        self._values: deque[float] = deque(maxlen=period)

    def update(self, value: float) -> tuple[float, ...] | None:
        _require_finite(value)
        self._values.append(value)
        return tuple(self._values) if len(self._values) == self._values.maxlen else None


class Sma:
    """Simple moving average."""

    def __init__(self, period: int) -> None:
        self._window = _Window(period)

    def update(self, value: float) -> float | None:
        """Take one value and return the mean of the last ``period``."""
        window = self._window.update(value)
        return None if window is None else math.fsum(window) / len(window)


class Rsi:
    """Wilder's relative strength index."""

    def __init__(self, period: int = RSI_PERIOD) -> None:
        self._gain = Wilder(period)
        self._loss = Wilder(period)
        self._previous: float | None = None

    def update(self, close: float) -> float | None:
        """Take one close and return the index in [0, 100], or None before ``period + 1`` closes."""
        _require_finite(close)
        previous, self._previous = self._previous, close
        if previous is None:
            return None
        gain = self._gain.update(max(close - previous, 0.0))
        loss = self._loss.update(max(previous - close, 0.0))
        if gain is None or loss is None:
            return None
        return _percent(gain, gain + loss)


class Macd:
    """Moving average convergence and divergence."""

    def __init__(self, *, fast: int = MACD_FAST, slow: int = MACD_SLOW, signal: int = MACD_SIGNAL) -> None:
        if not fast < slow:
            raise IndicatorError(f"fast must be less than slow, was {fast} and {slow}")
        self._fast = Ema(fast)
        self._slow = Ema(slow)
        self._signal = Ema(signal)
        # Both averages are seeded at the same bar.
        self._before_fast = slow - fast

    def update(self, close: float) -> tuple[float, float, float] | None:
        """Take one close and return (macd, signal, histogram), or None before ``slow + signal - 1``."""
        slow = self._slow.update(close)
        if self._before_fast:
            self._before_fast -= 1
            return None
        fast = self._fast.update(close)
        if slow is None or fast is None:
            return None
        line = fast - slow
        average = self._signal.update(line)
        return None if average is None else (line, average, line - average)


class Bollinger:
    """Bollinger bands with the population standard deviation."""

    def __init__(self, period: int = BOLLINGER_PERIOD, *, deviations: float = BOLLINGER_DEVIATIONS) -> None:
        self._window = _Window(period)
        self._deviations = deviations

    def update(self, close: float) -> tuple[float, float, float] | None:
        """Take one close and return (upper, middle, lower), or None before ``period`` closes."""
        window = self._window.update(close)
        if window is None:
            return None
        mean = math.fsum(window) / len(window)
        variance = math.fsum((value - mean) ** 2 for value in window) / len(window)
        spread = self._deviations * math.sqrt(variance)
        return mean + spread, mean, mean - spread


class Atr:
    """Wilder's average true range."""

    def __init__(self, period: int = ATR_PERIOD) -> None:
        self._average = Wilder(period)
        self._previous_close: float | None = None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take one bar and return the average true range, or None before ``period + 1`` bars."""
        for value in (high, low, close):
            _require_finite(value)
        previous, self._previous_close = self._previous_close, close
        if previous is None:
            return None
        return self._average.update(max(high, previous) - min(low, previous))


class Adx:
    """Wilder's average directional index with its indicators."""

    def __init__(self, period: int = ADX_PERIOD) -> None:
        if period < 2:  # noqa: PLR2004 - one bar has no bars before it to seed the sums with
            raise IndicatorError(f"the period of an ADX must be at least 2, was {period}")
        self._average = Wilder(period)
        # Rises, falls and ranges, each over the period.
        self._parts = [_Sum(period) for _ in range(3)]
        self._previous: tuple[float, float, float] | None = None

    def update(self, high: float, low: float, close: float) -> tuple[float, float, float] | None:
        """Take one bar and return (adx, plus_di, minus_di), or None before ``2 * period`` bars."""
        for value in (high, low, close):
            _require_finite(value)
        previous, self._previous = self._previous, (high, low, close)
        if previous is None:
            return None
        up, down = high - previous[0], previous[1] - low
        moves = (
            up if up > max(down, 0.0) else 0.0,
            down if down > max(up, 0.0) else 0.0,
            max(high, previous[2]) - min(low, previous[2]),
        )
        plus, minus, whole = (part.update(move) for part, move in zip(self._parts, moves, strict=True))
        if plus is None or minus is None or whole is None:
            return None
        average = self._average.update(_percent(abs(plus - minus), plus + minus))
        return (
            None if average is None else (min(average, 100.0), _percent(plus, whole), _percent(minus, whole))
        )


class _Sum:
    # Wilder's running sum over a period, as a mean: seeded with one value less than the period has.
    def __init__(self, period: int) -> None:
        self._period = period
        self._seed: list[float] = []
        self._value: float | None = None

    def update(self, value: float) -> float | None:
        if self._value is None:
            self._seed.append(value)
            if len(self._seed) == self._period - 1:
                self._value = math.fsum(self._seed) / self._period
            return None
        self._value += (value - self._value) / self._period
        return self._value


class EfficiencyRatio:
    """Kaufman's efficiency ratio."""

    def __init__(self, period: int = EFFICIENCY_PERIOD) -> None:
        self._window = _Window(period + 1)

    def update(self, close: float) -> float | None:
        """Take one close and return the ratio in [0, 1], or None before ``period + 1`` closes."""
        window = self._window.update(close)
        if window is None:
            return None
        gone = math.fsum(abs(later - earlier) for earlier, later in pairwise(window))
        return min(abs(window[-1] - window[0]) / gone, 1.0) if gone > 0.0 else 0.0


class Obv:
    """Granville's on-balance volume."""

    def __init__(self) -> None:
        self._balance = 0.0
        self._previous: float | None = None

    def update(self, close: float, volume: float) -> float:
        """Take one bar and return the balance, which starts at the first bar's volume."""
        _require_finite(close)
        _require_finite(volume)
        previous, self._previous = self._previous, close
        if previous is None or close > previous:
            self._balance += volume
        elif close < previous:
            self._balance -= volume
        return self._balance


class RealisedVolatility:
    """Root of the mean squared log return."""

    def __init__(self, period: int) -> None:
        self._window = _Window(period)
        self._previous: float | None = None

    def update(self, close: float) -> float | None:
        """Take one close and return the volatility per bar, or None before ``period + 1`` closes.

        Raises
        ------
        IndicatorError
            When the close is not positive.
        """
        _require_finite(close)
        if close <= 0.0:
            raise IndicatorError(f"a close must be positive, was {close:g}")
        previous, self._previous = self._previous, close
        if previous is None:
            return None
        squares = self._window.update((math.log(close) - math.log(previous)) ** 2)
        return None if squares is None else math.sqrt(math.fsum(squares) / len(squares))


def _percent(part: float, whole: float) -> float:
    return min(100.0 * part / whole, 100.0) if whole > 0.0 else 0.0


def _require_finite(value: float) -> None:
    if not math.isfinite(value):
        raise NotFinite(f"a value must be finite, was {value}")
