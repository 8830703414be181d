"""The named parameters of the technical agent, with their bounds and meanings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final


class InvalidParameters(ValueError):
    """A parameter is unknown, outside its bounds, or contradicts another."""


@dataclass(frozen=True, slots=True)
class ParameterBound:
    """What one parameter may be.

    Attributes
    ----------
    least, most : float
        Both allowed.
    whole : bool
        Whether it must be a whole number.
    meaning : str
        For people.
    """

    least: float
    most: float
    whole: bool
    meaning: str


PARAMETER_BOUNDS: Final[Mapping[str, ParameterBound]] = {
    "window": ParameterBound(2, 1000, whole=True, meaning="newest bars that are used"),
    "max_gap_bars": ParameterBound(0, 100, whole=True, meaning="longest gap in the window, in bars"),
    "rsi_period": ParameterBound(2, 100, whole=True, meaning="bars of the RSI"),
    "rsi_oversold": ParameterBound(1, 49, whole=False, meaning="RSI that scores +1"),
    "rsi_overbought": ParameterBound(51, 99, whole=False, meaning="RSI that scores -1"),
    "macd_fast": ParameterBound(2, 100, whole=True, meaning="bars of the fast MACD average"),
    "macd_slow": ParameterBound(3, 200, whole=True, meaning="bars of the slow MACD average"),
    "macd_signal": ParameterBound(2, 100, whole=True, meaning="bars of the MACD signal line"),
    "macd_full_atr": ParameterBound(0.05, 5, whole=False, meaning="MACD histogram, in ATRs, that scores 1"),
    "bollinger_period": ParameterBound(5, 200, whole=True, meaning="bars of the Bollinger bands"),
    "bollinger_deviations": ParameterBound(0.5, 5, whole=False, meaning="width of the bands"),
    "atr_period": ParameterBound(2, 100, whole=True, meaning="bars of the ATR"),
    "atr_calm_pct": ParameterBound(0.05, 50, whole=False, meaning="ATR, % of price, of full confidence"),
    "trend_fast": ParameterBound(2, 200, whole=True, meaning="bars of the fast trend average"),
    "trend_slow": ParameterBound(3, 400, whole=True, meaning="bars of the slow trend average"),
    "trend_full_atr": ParameterBound(
        0.1, 20, whole=False, meaning="distance of averages, in ATRs, scoring 1"
    ),
    "weight_rsi": ParameterBound(0, 1, whole=False, meaning="share of the RSI in the score"),
    "weight_macd": ParameterBound(0, 1, whole=False, meaning="share of the MACD in the score"),
    "weight_bollinger": ParameterBound(
        0, 1, whole=False, meaning="share of the Bollinger bands in the score"
    ),
    "weight_trend": ParameterBound(0, 1, whole=False, meaning="share of the trend in the score"),
}


@dataclass(frozen=True, slots=True)
class TechnicalParameters:
    """Settings of the technical signal; :data:`PARAMETER_BOUNDS` says what each means and may be.

    Raises
    ------
    InvalidParameters
        When one is out of bounds, an order of periods or thresholds is wrong, the weights sum to zero, or the
        window is shorter than the longest indicator needs.
    """

    window: int = 200
    max_gap_bars: int = 3
    rsi_period: int = 14
    rsi_oversold: float = 30.0
    rsi_overbought: float = 70.0
    macd_fast: int = 12
    macd_slow: int = 26
    macd_signal: int = 9
    macd_full_atr: float = 0.5
    bollinger_period: int = 20
    bollinger_deviations: float = 2.0
    atr_period: int = 14
    atr_calm_pct: float = 5.0
    trend_fast: int = 20
    trend_slow: int = 50
    trend_full_atr: float = 2.0
    weight_rsi: float = 0.25
    weight_macd: float = 0.25
    weight_bollinger: float = 0.20
    weight_trend: float = 0.30

    def __post_init__(self) -> None:
        for item in fields(self):
            _require_within(item.name, getattr(self, item.name))
        for fast, slow in (("macd_fast", "macd_slow"), ("trend_fast", "trend_slow")):
            if getattr(self, fast) >= getattr(self, slow):
                raise InvalidParameters(
                    f"{fast} must be less than {slow}, was {getattr(self, fast)} and {getattr(self, slow)}"
                )
        if self.total_weight <= 0:
            raise InvalidParameters("at least one weight must be above 0")
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
        )

    @property
    def total_weight(self) -> float:
        """Sum of the four weights, by which the score is divided."""
        return self.weight_rsi + self.weight_macd + self.weight_bollinger + self.weight_trend


def technical_parameters(settings: Mapping[str, object]) -> TechnicalParameters:
    """Build parameters from a tenant's settings; what is not set keeps its default.

    Raises
    ------
    InvalidParameters
        For an unknown name, or as :class:`TechnicalParameters` says.
    """
    unknown = sorted(settings.keys() - PARAMETER_BOUNDS.keys())
    if unknown:
        raise InvalidParameters(f"unknown parameters: {', '.join(unknown)}")
    for name, value in settings.items():
        _require_within(name, value)
    return TechnicalParameters(**settings)  # type: ignore[arg-type]  # every value was just checked


def _require_within(name: str, value: object) -> None:
    bound = PARAMETER_BOUNDS[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if bound.whole:
        number = isinstance(value, int) and not isinstance(value, bool)
    if not number or not bound.least <= value <= bound.most:  # type: ignore[operator]  # a number by now
        kind = "a whole number" if bound.whole else "a number"
        raise InvalidParameters(
            f"{name} must be {kind} from {bound.least:g} to {bound.most:g}, was {value!r}"
        )
