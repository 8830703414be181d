"""The technical agent: trend, momentum, volatility, volume and regime of a symbol's candles.

Five components speak with a score in [-1, 1] each, and the weights of the parameters combine them. RSI and
Bollinger bands expect a return to the mean; MACD, the trend of two averages, and on-balance volume follow the
move. MACD and trend are counted in average true ranges, so that a quiet and a wild market are judged alike.

The regime shifts weight between the two styles: in a trend those that expect a return lose a share of their
weight, in a range those that follow. Confidence is the agreement of the components, lowered in proportion
where the ATR exceeds what the parameters call calm, by the share of bars that are missing from the window, by
the weight of a component that could not speak, and in a volatile regime.

References
----------
J. Welles Wilder, New Concepts in Technical Trading Systems, 1978 (RSI, ATR, ADX).
Gerald Appel, Technical Analysis: Power Tools for Active Investors, 2005 (MACD).
John Bollinger, Bollinger on Bollinger Bands, 2001.
Joseph E. Granville, Granville's New Key to Stock Market Profits, 1963 (on-balance volume).
Perry J. Kaufman, Trading Systems and Methods, 6th edition, 2019 (trend, efficiency ratio; which rules suit
which market).
"""

import math
from datetime import timedelta
from typing import Final

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Dataset, Evidence, unit
from alphapulse.domain.agents.parameters import total_weight
from alphapulse.domain.agents.technical_bars import Unusable, Window, gap_text, window_of
from alphapulse.domain.agents.technical_components import Component, components_of
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.agents.technical_readings import Readings, read
from alphapulse.domain.regime import Regime
from alphapulse.domain.signals import Abstention, AgentVoice, Signal

AGENT: Final = "technical"
AGENT_VERSION: Final = "2.0.0"


def speak(evidence: Evidence, parameters: TechnicalParameters) -> Signal | Abstention:
    """Judge a symbol by its candles.

    Parameters
    ----------
    evidence : Evidence
        Its bars; the newest ``parameters.window`` are used, older ones change nothing.
    parameters : TechnicalParameters
        Periods, thresholds, weights, and the longest gap that is tolerated.

    Returns
    -------
    Signal or Abstention
        An abstention when there are too few bars, their times or prices cannot be, the window contains a gap
        longer than ``max_gap_bars``, the last bar is too old, or the price did not move at all. Gaps, volume
        that could not be used and a regime that is unknown are named in the reasons.
    """
    voice = AgentVoice(AGENT, evidence.symbol, AGENT_VERSION, evidence.now)
    try:
        window = window_of(evidence, parameters)
        readings = read(window, parameters)
    except Unusable as unusable:
        return voice.abstain(str(unusable), unusable.inputs)
    if readings.is_still:
        return voice.abstain(f"the price of {evidence.symbol} did not move in the window", window.inputs)
    components = components_of(readings, parameters)
    weight = sum(part.weight for part in components)
    if weight <= 0.0:
        return voice.abstain(f"only volume has a weight, and {readings.without_volume}", window.inputs)
    return voice.signal(
        unit(sum(component.part for component in components) / weight),
        unit(_confidence(components, readings, window, parameters)),
        reasons=(
            *(component.reason for component in components),
            *_circumstances(readings, window, parameters),
        ),
        inputs=window.inputs + readings.inputs(window),
    )


def _confidence(
    components: tuple[Component, ...], readings: Readings, window: Window, parameters: TechnicalParameters
) -> float:
    volatile = readings.regime is not None and readings.regime.regime is Regime.VOLATILE
    spoken = 1.0
    if readings.without_volume is not None:
        spoken -= parameters.weight_volume / total_weight(parameters)
    return (
        _agreement(components)
        * min(1.0, parameters.atr_calm_pct / readings.atr_pct)
        * window.present
        * spoken
        * (parameters.volatile_confidence if volatile else 1.0)
    )


def _agreement(components: tuple[Component, ...]) -> float:
    spoken = sum(abs(component.part) for component in components)
    return abs(sum(component.part for component in components)) / spoken if spoken else 0.0


def _circumstances(readings: Readings, window: Window, parameters: TechnicalParameters) -> tuple[str, ...]:
    volatility = f"the ATR is {readings.atr:.6g}, {readings.atr_pct:.2f} % of the price"
    volume = () if readings.without_volume is None else (f"volume is left out: {readings.without_volume}",)
    gaps = (gap_text(gap, window.interval) for gap in window.gaps)
    return (*volume, volatility, _regime_text(readings, parameters), *gaps)


def _regime_text(readings: Readings, parameters: TechnicalParameters) -> str:
    reading = readings.regime
    if reading is None:
        return f"the regime is unknown: {readings.without_regime}"
    settings = parameters.regime
    ratio = reading.volatility_ratio
    volatility = f"{ratio:.2f} times its median" if math.isfinite(ratio) else "after none"
    return (
        f"the regime is {reading.regime.replace('_', ' ')}: ADX({settings.adx_period}) {reading.adx:.1f}, "
        f"efficiency {reading.efficiency:+.2f} over {settings.efficiency_period} bars, "
        f"volatility {volatility}"
    )


DEFINITION: Final = AgentDefinition(
    name=AGENT,
    version=AGENT_VERSION,
    parameters=TechnicalParameters,
    reads=frozenset({Dataset.CANDLES}),
    speak=speak,
    bars=lambda parameters: parameters.window,
    horizon=lambda parameters, interval: timedelta(seconds=parameters.horizon_bars * interval.seconds),
)
