"""How much happens in a market: on-balance volume and realised volatility.

Aligned to the last bar, and refusing what cannot be computed, as :mod:`alphapulse.domain.indicators` does.

References
----------
Joseph E. Granville, Granville's New Key to Stock Market Profits, 1963 (on-balance volume).
T. G. Andersen and T. Bollerslev, Answering the Skeptics: Yes, Standard Volatility Models Do Provide Accurate
Forecasts, International Economic Review 39 (1998) (realised volatility).
"""

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray, IndicatorError, checked
from alphapulse.domain.rolling import window_mean


def obv(closes: ArrayLike, volumes: ArrayLike) -> FloatArray:
    """Return Granville's on-balance volume: volume added where the close rose, taken off where it fell.

    It starts at the first bar's volume, as in TA-Lib; no lookback.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When the series differ in length.
    """
    close, volume = (checked(series, needed=1, period=1) for series in (closes, volumes))
    if len(close) != len(volume):
        raise IndicatorError(f"closes and volumes must be equally long, were {len(close)} and {len(volume)}")
    signed = volume.copy()
    signed[1:] *= np.sign(close[1:] - close[:-1])
    balance: FloatArray = np.cumsum(signed)
    return balance


def realised_volatility(closes: ArrayLike, period: int) -> FloatArray:
    """Return the root of the mean squared log return, per bar; lookback ``period``.

    No mean is subtracted: over few bars it is noise.

    Raises
    ------
    NotEnoughBars, NotFinite
    IndicatorError
        When a close is not positive.
    """
    series = checked(closes, needed=period + 1, period=period)
    if not series.min() > 0.0:
        raise IndicatorError(f"a close must be positive, was {series.min():g}")
    logs = np.log(series)
    squares = np.square(logs[1:] - logs[:-1])
    volatility: FloatArray = np.sqrt(window_mean(squares, period))
    return volatility
