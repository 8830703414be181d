"""The technical agent: RSI, MACD, Bollinger bands and trend, with the ATR as their measure.

Each of the four speaks with a score in [-1, 1] and the weights of the parameters combine them. RSI and bands
expect a return to the mean; MACD and trend follow the move, counted in average true ranges so that a quiet
and a wild market are judged alike. Confidence is the agreement of the four, lowered in proportion where the
ATR exceeds what the parameters call calm, and by the share of bars that are missing from the window.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from alphapulse.domain import indicators
from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Dataset, Evidence, is_stale, unit
from alphapulse.domain.agents.parameters import total_weight
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.candles import Gap, find_gaps
from alphapulse.domain.indicators import NotEnoughBars, NotFinite
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import PriceSeries
from alphapulse.domain.signals import Abstention, AgentVoice, Signal, SignalInput

AGENT: Final = "technical"
AGENT_VERSION: Final = "1.0.0"

# Below this share of the price a range is rounding noise of float64, not movement.
_NO_MOVEMENT: Final = 1e-12
_MIDDLE: Final = 50.0


@dataclass(frozen=True, slots=True)
class _Readings:
    close: float
    close_range: float
    rsi: float
    histogram: float
    band_position: float
    band_middle: float
    atr: float
    fast: float
    slow: float

    @property
    def atr_pct(self) -> float:
        return 100.0 * self.atr / self.close

    @property
    def is_still(self) -> bool:
        # Closes that are all alike give no RSI (TA-Lib says 0), even where highs and lows moved.
        return min(self.close_range, self.atr) <= _NO_MOVEMENT * self.close


@dataclass(frozen=True, slots=True)
class _Component:
    score: float
    weight: float
    reason: str


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
        An abstention when there are too few bars, a value is not finite, the window contains a gap longer
        than ``max_gap_bars``, the last bar is too old, or the price did not move at all. Gaps are named in
        the reasons and inputs either way.
    """
    symbol, interval, now, bars = evidence.symbol, evidence.interval, evidence.now, evidence.bars
    voice = AgentVoice(AGENT, symbol, AGENT_VERSION, now)
    if bars is None:
        return voice.abstain(evidence.why_missing(Dataset.CANDLES))
    source = bars.source
    window = bars.series.last(parameters.window)
    if len(window) < parameters.bars_needed:
        return voice.abstain(f"needs {parameters.bars_needed} bars of {interval}, found {len(window)}")
    gaps = find_gaps(window.open_times, interval)
    closed_at = window.open_times[-1] + timedelta(seconds=interval.seconds)
    inputs = _bar_inputs(window, gaps, closed_at, source)
    max_age = timedelta(seconds=interval.seconds + parameters.max_delay_seconds)
    oldest = now - max_age if is_stale(closed_at, source, now=now, max_age=max_age) else None
    refusal = _refusal(gaps, interval, parameters, closed_at=closed_at, oldest=oldest)
    if refusal is not None:
        return voice.abstain(refusal, inputs)
    try:
        readings = _read(window, parameters)
    except (NotEnoughBars, NotFinite) as error:
        return voice.abstain(f"the candles are unusable: {error}", inputs)
    if readings.is_still:
        return voice.abstain(f"the price of {symbol} did not move in the window", inputs)
    components = _components(readings, parameters)
    present = len(window) / (len(window) + sum(gap.count for gap in gaps))
    return voice.signal(
        unit(sum(part.score * part.weight for part in components) / total_weight(parameters)),
        unit(_agreement(components) * _calm(readings, parameters) * present),
        reasons=(*(part.reason for part in components), *_circumstances(readings, gaps, interval)),
        inputs=inputs + _reading_inputs(readings, closed_at, source),
    )


def _refusal(
    gaps: list[Gap],
    interval: Interval,
    parameters: TechnicalParameters,
    *,
    closed_at: datetime,
    oldest: datetime | None,
) -> str | None:
    longest = max(gaps, key=lambda gap: gap.count, default=None)
    if longest is not None and longest.count > parameters.max_gap_bars:
        return f"{_gap_text(longest, interval)}, at most {parameters.max_gap_bars} in a row are tolerated"
    if oldest is not None:
        return f"the last bar closed at {closed_at.isoformat()}, before {oldest.isoformat()}"
    return None


def _read(window: PriceSeries, parameters: TechnicalParameters) -> _Readings:
    close = window.close
    bands = indicators.bollinger(
        close, parameters.bollinger_period, deviations=parameters.bollinger_deviations
    )
    lines = indicators.macd(
        close, fast=parameters.macd_fast, slow=parameters.macd_slow, signal=parameters.macd_signal
    )
    middle, half_width = float(bands.middle[-1]), float(bands.upper[-1] - bands.middle[-1])
    distance = float(close[-1]) - middle
    return _Readings(
        close=float(close[-1]),
        close_range=float(np.ptp(close)),
        rsi=float(indicators.rsi(close, parameters.rsi_period)[-1]),
        histogram=float(lines.histogram[-1]),
        band_position=distance / half_width if half_width > _NO_MOVEMENT * middle else 0.0,
        band_middle=middle,
        atr=float(indicators.atr(window.high, window.low, close, parameters.atr_period)[-1]),
        fast=float(indicators.ema(close, parameters.trend_fast)[-1]),
        slow=float(indicators.ema(close, parameters.trend_slow)[-1]),
    )


def _components(readings: _Readings, parameters: TechnicalParameters) -> tuple[_Component, ...]:
    return (
        _rsi_component(readings, parameters),
        _macd_component(readings, parameters),
        _bollinger_component(readings, parameters),
        _trend_component(readings, parameters),
    )


def _rsi_component(readings: _Readings, parameters: TechnicalParameters) -> _Component:
    low, high = parameters.rsi_oversold, parameters.rsi_overbought
    span = _MIDDLE - low if readings.rsi < _MIDDLE else high - _MIDDLE
    if readings.rsi <= low:
        zone = f"oversold (below {low:g})"
    elif readings.rsi >= high:
        zone = f"overbought (above {high:g})"
    else:
        zone = f"neutral ({low:g} to {high:g})"
    reason = f"RSI({parameters.rsi_period}) is {readings.rsi:.1f}, {zone}"
    return _Component(unit((_MIDDLE - readings.rsi) / span), parameters.weight_rsi, reason)


def _macd_component(readings: _Readings, parameters: TechnicalParameters) -> _Component:
    in_atrs = readings.histogram / readings.atr
    periods = f"{parameters.macd_fast},{parameters.macd_slow},{parameters.macd_signal}"
    side = "above" if in_atrs > 0 else "below"
    reason = (
        f"MACD({periods}) is {side} its signal line by {abs(readings.histogram):.6g} ({abs(in_atrs):.2f} ATR)"
    )
    return _Component(unit(in_atrs / parameters.macd_full_atr), parameters.weight_macd, reason)


def _bollinger_component(readings: _Readings, parameters: TechnicalParameters) -> _Component:
    width = f"{parameters.bollinger_period},{parameters.bollinger_deviations:g}"
    side = "above" if readings.band_position > 0 else "below"
    reason = (
        f"the close {readings.close:.6g} is {abs(readings.band_position):.2f} half widths {side} the middle "
        f"{readings.band_middle:.6g} of the Bollinger bands ({width})"
    )
    return _Component(unit(-readings.band_position), parameters.weight_bollinger, reason)


def _trend_component(readings: _Readings, parameters: TechnicalParameters) -> _Component:
    in_atrs = (readings.fast - readings.slow) / readings.atr
    side = "above" if in_atrs > 0 else "below"
    reason = (
        f"trend: EMA({parameters.trend_fast}) {readings.fast:.6g} is {side} EMA({parameters.trend_slow}) "
        f"{readings.slow:.6g} by {abs(in_atrs):.2f} ATR"
    )
    return _Component(unit(in_atrs / parameters.trend_full_atr), parameters.weight_trend, reason)


def _agreement(components: tuple[_Component, ...]) -> float:
    parts = [part.score * part.weight for part in components]
    spoken = sum(abs(part) for part in parts)
    return abs(sum(parts)) / spoken if spoken else 0.0


def _calm(readings: _Readings, parameters: TechnicalParameters) -> float:
    return min(1.0, parameters.atr_calm_pct / readings.atr_pct)


def _circumstances(readings: _Readings, gaps: list[Gap], interval: Interval) -> tuple[str, ...]:
    volatility = f"the ATR is {readings.atr:.6g}, {readings.atr_pct:.2f} % of the price"
    return (volatility, *(_gap_text(gap, interval) for gap in gaps))


def _gap_text(gap: Gap, interval: Interval) -> str:
    first, last = gap.first_missing.isoformat(), gap.last_missing.isoformat()
    span = f"at {first}" if gap.count == 1 else f"from {first} to {last}"
    return f"{gap.count} bar{'' if gap.count == 1 else 's'} of {interval} missing {span}"


def _bar_inputs(
    window: PriceSeries, gaps: list[Gap], closed_at: datetime, source: str
) -> tuple[SignalInput, ...]:
    return (
        SignalInput("bars", len(window), closed_at, source),
        SignalInput("missing_bars", sum(gap.count for gap in gaps), closed_at, source),
    )


def _reading_inputs(readings: _Readings, closed_at: datetime, source: str) -> tuple[SignalInput, ...]:
    figures = {
        "close": readings.close,
        "rsi": readings.rsi,
        "macd_histogram": readings.histogram,
        "bollinger_position": readings.band_position,
        "atr": readings.atr,
        "ema_fast": readings.fast,
        "ema_slow": readings.slow,
    }
    return tuple(SignalInput(name, round(value, 10), closed_at, source) for name, value in figures.items())


DEFINITION: Final = AgentDefinition(
    name=AGENT,
    version=AGENT_VERSION,
    parameters=TechnicalParameters,
    reads=frozenset({Dataset.CANDLES}),
    speak=speak,
    bars=lambda parameters: parameters.window,
    horizon=lambda parameters, interval: timedelta(seconds=parameters.horizon_bars * interval.seconds),
)
