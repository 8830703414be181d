"""Candles as arrays: the one place where prices become ``float64`` for indicators."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alphapulse.domain.candles import Candle
from alphapulse.domain.indicators import FloatArray


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Bars as columns of equal length, oldest first.

    Attributes
    ----------
    open_times : tuple of datetime
        Aware, UTC.
    open, high, low, close, volume : ndarray of float64, shape (n,)
        Finite.
    """

    open_times: tuple[datetime, ...]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def __len__(self) -> int:
        return len(self.open_times)

    def last(self, bars: int) -> "PriceSeries":
        """Return the last bars of the series, or all of it if it is shorter."""
        return self.between(max(len(self) - bars, 0), len(self))

    def between(self, start: int, end: int) -> "PriceSeries":
        """Return the bars from one position up to another, the latter not included."""
        return PriceSeries(
            self.open_times[start:end],
            self.open[start:end],
            self.high[start:end],
            self.low[start:end],
            self.close[start:end],
            self.volume[start:end],
        )


def price_series(candles: Sequence[Candle]) -> PriceSeries:
    """Convert candles to arrays, whose prices may enter indicators but never a balance."""
    columns: NDArray[np.float64] = np.array(
        [(candle.open, candle.high, candle.low, candle.close, candle.volume) for candle in candles],
        dtype=np.float64,
    ).reshape(len(candles), 5)
    opens, highs, lows, closes, volumes = np.ascontiguousarray(columns.T)
    return PriceSeries(tuple(candle.open_time for candle in candles), opens, highs, lows, closes, volumes)
