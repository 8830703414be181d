"""What the indicators of the technical agent read at the last bar."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from alphapulse.domain import activity, indicators
from alphapulse.domain.agents.technical_bars import Unusable, Window
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.indicators import IndicatorError, NotEnoughBars
from alphapulse.domain.regime import RegimeReading, read_regime
from alphapulse.domain.series import PriceSeries
from alphapulse.domain.signals import SignalInput

# Below this share of the price a range is rounding noise of float64, not movement.
_NO_MOVEMENT: Final = 1e-12
# Figures are recorded with the digits that float64 can vouch for after a long recursion.
_DIGITS: Final = 14


@dataclass(frozen=True, slots=True)
class Readings:
    """Figures at the last bar, all finite.

    Attributes
    ----------
    close : float
        The last price.
    close_range : float
        Between the highest and the lowest close of the window.
    rsi, histogram, atr, fast, slow : float
        RSI, MACD histogram, ATR, and the averages of the trend.
    band_position : float
        Distance of the close from the middle of the Bollinger bands, in half widths.
    band_middle : float
        Middle of the bands.
    volume_share : float or None
        Change of the on-balance volume over the whole volume of its bars, in [-1, 1]; None where there is
        no volume to speak of.
    without_volume : str or None
        Why there is none.
    regime : RegimeReading or None
        None where the regime is unknown.
    without_regime : str or None
        Why it is.
    """

    close: float
    close_range: float
    rsi: float
    histogram: float
    band_position: float
    band_middle: float
    atr: float
    fast: float
    slow: float
    volume_share: float | None
    without_volume: str | None
    regime: RegimeReading | None
    without_regime: str | None

    @property
    def atr_pct(self) -> float:
        """The ATR in percent of the price."""
        return 100.0 * self.atr / self.close

    @property
    def is_still(self) -> bool:
        """Whether the price did not move: closes that are all alike give no RSI (TA-Lib says 0)."""
        return min(self.close_range, self.atr) <= _NO_MOVEMENT * self.close

    def inputs(self, window: Window) -> tuple[SignalInput, ...]:
        """Return the figures as inputs of a signal; those that are not there are None."""
        reading = self.regime
        figures: dict[str, float | None] = {
            "close": self.close,
            "rsi": self.rsi,
            "macd_histogram": self.histogram,
            "bollinger_position": self.band_position,
            "atr": self.atr,
            "ema_fast": self.fast,
            "ema_slow": self.slow,
            "volume_share": self.volume_share,
            "adx": reading.adx if reading else None,
            "efficiency": reading.efficiency if reading else None,
            "volatility_ratio": reading.volatility_ratio if reading else None,
        }
        named = str(reading.regime) if reading else None
        return (
            *(
                SignalInput(name, _recorded(value), window.closed_at, window.source)
                for name, value in figures.items()
            ),
            SignalInput("regime", named, window.closed_at, window.source),
        )


def read(window: Window, parameters: TechnicalParameters) -> Readings:
    """Take all indicators of a window.

    Raises
    ------
    Unusable
        When one cannot be taken, or its figure is not finite because the prices are too extreme.
    """
    series = window.series
    # Prices near the end of float64's range overflow; what comes of it is not finite, and refused.
    with np.errstate(all="ignore"):
        try:
            prices = _of_prices(series, parameters)
        except IndicatorError as error:
            raise Unusable(f"the candles are unusable: {error}", window.inputs) from error
        if not all(map(math.isfinite, prices.values())):
            raise Unusable("the candles are unusable: prices too extreme to reckon with", window.inputs)
        share, without_volume = _volume_share(series, parameters)
        regime, without_regime = _regime(series, parameters)
    return Readings(
        **prices,
        volume_share=share,
        without_volume=without_volume,
        regime=regime,
        without_regime=without_regime,
    )


def _of_prices(series: PriceSeries, parameters: TechnicalParameters) -> dict[str, float]:
    close = series.close
    # Bands remember no bar before their period.
    banded = close[-parameters.bollinger_period :]
    bands = indicators.bollinger(
        banded, parameters.bollinger_period, deviations=parameters.bollinger_deviations
    )
    lines = indicators.macd(
        close,
        fast=parameters.macd_fast,
        slow=parameters.macd_slow,
        signal=parameters.macd_signal,
        newest=True,
    )
    middle, half_width = float(bands.middle[-1]), float(bands.upper[-1] - bands.middle[-1])
    last = float(close[-1])
    # An infinite width would put every price in the middle: the position is then no number either.
    position = (last - middle) / half_width if half_width > _NO_MOVEMENT * middle else 0.0
    return {
        "close": last,
        "close_range": float(np.ptp(close)),
        "rsi": float(indicators.rsi(close, parameters.rsi_period, newest=True)[-1]),
        "histogram": float(lines.histogram[-1]),
        "band_position": position if math.isfinite(half_width) else math.nan,
        "band_middle": middle,
        "atr": float(indicators.atr(series.high, series.low, close, parameters.atr_period, newest=True)[-1]),
        "fast": float(indicators.ema(close, parameters.trend_fast, newest=True)[-1]),
        "slow": float(indicators.ema(close, parameters.trend_slow, newest=True)[-1]),
    }


def _volume_share(series: PriceSeries, parameters: TechnicalParameters) -> tuple[float | None, str | None]:
    bars = parameters.volume_period
    close, volume = series.close[-bars - 1 :], series.volume[-bars:]
    least, total = float(volume.min()), float(volume.sum())
    if not (least >= 0.0 and math.isfinite(total)):
        return None, "the source gives volumes that cannot be"
    if total == 0.0:
        return None, f"the last {bars} bars have none"
    if least == volume.max():
        return None, f"the last {bars} bars all have the same"
    # The balance starts at zero with the bar before the first one that counts.
    balance = activity.obv(close, np.concatenate(((0.0,), volume)))
    return float(balance[-1]) / total, None


def _regime(series: PriceSeries, parameters: TechnicalParameters) -> tuple[RegimeReading | None, str | None]:
    try:
        return read_regime(series, parameters.regime), None
    except NotEnoughBars as error:
        return None, f"it {error}"
    except IndicatorError as error:
        return None, str(error)


def _recorded(value: float | None) -> float | None:
    # JSON has no infinity: a volatility without a history is recorded as not there.
    return float(f"{value:.{_DIGITS}g}") if value is not None and math.isfinite(value) else None
