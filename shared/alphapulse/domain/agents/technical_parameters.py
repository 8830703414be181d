"""The named parameters of the technical agent, with their bounds and meanings."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from alphapulse.domain.agents.parameters import (
    InvalidParameters,
    Parameters,
    parameter,
    require_order,
    total_weight,
)
from alphapulse.domain.regime import RegimeParameters

_REGIME: Final = "regime_"


def _of_regime(name: str) -> Any:
    # The regime's own parameter, with its default and bounds, under a name of this agent.
    default, bound = getattr(RegimeParameters(), name), RegimeParameters.bounds()[name]
    return parameter(default, bound.least, bound.most, bound.meaning)


@dataclass(frozen=True, slots=True)
class TechnicalParameters(Parameters):
    """Settings of the technical agent.

    Raises
    ------
    InvalidParameters
        When one is out of bounds, an order of periods or thresholds is wrong, the weights sum to zero, or the
        window is shorter than the longest indicator needs.
    """

    window: int = parameter(200, 2, 1000, "newest bars that are used")
    max_gap_bars: int = parameter(3, 0, 100, "longest gap in the window, in bars")
    rsi_period: int = parameter(14, 2, 100, "bars of the RSI")
    rsi_oversold: float = parameter(30.0, 1, 49, "RSI that scores +1")
    rsi_overbought: float = parameter(70.0, 51, 99, "RSI that scores -1")
    macd_fast: int = parameter(12, 2, 100, "bars of the fast MACD average")
    macd_slow: int = parameter(26, 3, 200, "bars of the slow MACD average")
    macd_signal: int = parameter(9, 2, 100, "bars of the MACD signal line")
    macd_full_atr: float = parameter(0.5, 0.05, 5, "MACD histogram, in ATRs, that scores 1")
    bollinger_period: int = parameter(20, 5, 200, "bars of the Bollinger bands")
    bollinger_deviations: float = parameter(2.0, 0.5, 5, "width of the bands")
    atr_period: int = parameter(14, 2, 100, "bars of the ATR")
    atr_calm_pct: float = parameter(5.0, 0.05, 50, "ATR, % of price, of full confidence")
    trend_fast: int = parameter(20, 2, 200, "bars of the fast trend average")
    trend_slow: int = parameter(50, 3, 400, "bars of the slow trend average")
    trend_full_atr: float = parameter(2.0, 0.1, 20, "distance of averages, in ATRs, scoring 1")
    volume_period: int = parameter(20, 2, 200, "bars over which volume is balanced")
    volume_full_share: float = parameter(0.5, 0.05, 1, "net share of the volume, one way, that scores 1")
    weight_rsi: float = parameter(0.20, 0, 1, "share of the RSI in the score")
    weight_macd: float = parameter(0.20, 0, 1, "share of the MACD in the score")
    weight_bollinger: float = parameter(0.15, 0, 1, "share of the Bollinger bands in the score")
    weight_trend: float = parameter(0.30, 0, 1, "share of the trend in the score")
    weight_volume: float = parameter(0.15, 0, 1, "share of the volume in the score")
    regime_adx_period: int = _of_regime("adx_period")
    regime_adx_trending: float = _of_regime("adx_trending")
    regime_efficiency_period: int = _of_regime("efficiency_period")
    regime_efficiency_trending: float = _of_regime("efficiency_trending")
    regime_volatility_period: int = _of_regime("volatility_period")
    regime_volatility_history: int = _of_regime("volatility_history")
    regime_volatile_ratio: float = _of_regime("volatile_ratio")
    regime_shift: float = parameter(0.5, 0, 0.9, "share of its weight that a component out of regime loses")
    volatile_confidence: float = parameter(0.5, 0, 1, "share of the confidence left in a volatile regime")
    max_delay_seconds: int = parameter(120, 0, 86_400, "how late the newest bar may be, in seconds")
    horizon_bars: int = parameter(24, 1, 1000, "bars ahead a signal looks, after which it is scored")

    def check(self) -> None:
        """Refuse periods in the wrong order, weights of zero, and a window too short for an indicator."""
        require_order(self, "macd_fast", "macd_slow")
        require_order(self, "trend_fast", "trend_slow")
        total_weight(self)
        if self.window < self.bars_needed:
            raise InvalidParameters(f"window must be at least {self.bars_needed} bars, was {self.window}")

    @property
    def bars_needed(self) -> int:
        """Bars without which an indicator does not exist."""
        return max(
            self.rsi_period + 1,
            self.macd_slow + self.macd_signal - 1,
            self.bollinger_period,
            self.atr_period + 1,
            self.trend_slow,
            self.volume_period + 1,
        )

    @property
    def regime(self) -> RegimeParameters:
        """Settings of the regime, for which a window may be too short: then it is unknown."""
        return _regime_of(self)


@lru_cache(maxsize=256)
def _regime_of(parameters: TechnicalParameters) -> RegimeParameters:
    return RegimeParameters(
        **{name: getattr(parameters, _REGIME + name) for name in RegimeParameters.bounds()}
    )


PARAMETERS: Final = TechnicalParameters
