"""What each indicator of the technical agent says, and how much of the score it has in which regime."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from alphapulse.domain.agents.evidence import unit
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.agents.technical_readings import Readings
from alphapulse.domain.regime import Regime

_MIDDLE: Final = 50.0

# Style, score, weight before the regime shifts it, reason.
_Said: TypeAlias = "tuple[Style, float, float, str]"


class Style(Enum):
    """What a component expects of a move."""

    REVERTS = auto()
    FOLLOWS = auto()


#: The regimes in which each style loses a share of its weight.
OUT_OF_REGIME: Final = {
    Style.REVERTS: frozenset({Regime.TRENDING_UP, Regime.TRENDING_DOWN}),
    Style.FOLLOWS: frozenset({Regime.RANGING}),
}


@dataclass(frozen=True, slots=True)
class Component:
    """One voice in the score.

    Attributes
    ----------
    style : Style
        What it expects of a move.
    score : float
        In [-1, 1].
    weight : float
        At least 0.
    reason : str
        For people.
    """

    style: Style
    score: float
    weight: float
    reason: str

    @property
    def part(self) -> float:
        """What it adds to the score, before the weights are made to sum to 1."""
        return self.score * self.weight


def components_of(readings: Readings, parameters: TechnicalParameters) -> tuple[Component, ...]:
    """Return what each indicator says, its weight shifted by the regime; no volume, where there is none."""
    regime = readings.regime.regime if readings.regime else Regime.UNKNOWN
    shifted = 1.0 - parameters.regime_shift
    kept = {style: shifted if regime in outside else 1.0 for style, outside in OUT_OF_REGIME.items()}
    return tuple(
        Component(style, score, weight * kept[style], reason)
        for style, score, weight, reason in _said(readings, parameters)
    )


def _said(readings: Readings, parameters: TechnicalParameters) -> Iterator[_Said]:
    yield _rsi_says(readings, parameters)
    yield _macd_says(readings, parameters)
    yield _bollinger_says(readings, parameters)
    yield _trend_says(readings, parameters)
    if readings.volume_share is not None:
        yield _volume_says(readings.volume_share, parameters)


def _rsi_says(readings: Readings, parameters: TechnicalParameters) -> _Said:
    low, high = parameters.rsi_oversold, parameters.rsi_overbought
    span = _MIDDLE - low if readings.rsi < _MIDDLE else high - _MIDDLE
    if readings.rsi <= low:
        zone = f"oversold (below {low:g})"
    elif readings.rsi >= high:
        zone = f"overbought (above {high:g})"
    else:
        zone = f"neutral ({low:g} to {high:g})"
    reason = f"RSI({parameters.rsi_period}) is {readings.rsi:.1f}, {zone}"
    return Style.REVERTS, unit((_MIDDLE - readings.rsi) / span), parameters.weight_rsi, reason


def _macd_says(readings: Readings, parameters: TechnicalParameters) -> _Said:
    in_atrs = readings.histogram / readings.atr
    periods = f"{parameters.macd_fast},{parameters.macd_slow},{parameters.macd_signal}"
    side = "above" if in_atrs > 0 else "below"
    reason = (
        f"MACD({periods}) is {side} its signal line by {abs(readings.histogram):.6g} ({abs(in_atrs):.2f} ATR)"
    )
    return Style.FOLLOWS, unit(in_atrs / parameters.macd_full_atr), parameters.weight_macd, reason


def _bollinger_says(readings: Readings, parameters: TechnicalParameters) -> _Said:
    width = f"{parameters.bollinger_period},{parameters.bollinger_deviations:g}"
    side = "above" if readings.band_position > 0 else "below"
    reason = (
        f"the close {readings.close:.6g} is {abs(readings.band_position):.2f} half widths {side} the middle "
        f"{readings.band_middle:.6g} of the Bollinger bands ({width})"
    )
    return Style.REVERTS, unit(-readings.band_position), parameters.weight_bollinger, reason


def _trend_says(readings: Readings, parameters: TechnicalParameters) -> _Said:
    in_atrs = (readings.fast - readings.slow) / readings.atr
    side = "above" if in_atrs > 0 else "below"
    reason = (
        f"trend: EMA({parameters.trend_fast}) {readings.fast:.6g} is {side} EMA({parameters.trend_slow}) "
        f"{readings.slow:.6g} by {abs(in_atrs):.2f} ATR"
    )
    return Style.FOLLOWS, unit(in_atrs / parameters.trend_full_atr), parameters.weight_trend, reason


def _volume_says(share: float, parameters: TechnicalParameters) -> _Said:
    side = "rose" if share > 0 else "fell"
    percent, bars = 100.0 * abs(share), parameters.volume_period
    reason = f"on-balance volume {side} by {percent:.0f} % of the volume of {bars} bars"
    score = unit(share / parameters.volume_full_share)
    return Style.FOLLOWS, score, parameters.weight_volume, reason
