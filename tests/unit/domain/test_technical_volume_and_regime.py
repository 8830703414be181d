"""How volume and regime weigh in the technical agent's score and confidence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alphapulse.domain.agents.evidence import Bars, Evidence
from alphapulse.domain.agents.technical import speak
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.instruments import Interval
from alphapulse.domain.regime import Regime, RegimeParameters, regime
from alphapulse.domain.series import PriceSeries
from alphapulse.domain.signals import Abstention, Signal

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
BARS = 200


def bars_of(closes: Sequence[float] | FloatArray, volume: FloatArray | None = None) -> PriceSeries:
    close = np.array(closes, dtype=np.float64)
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    times = tuple(START + timedelta(hours=number) for number in range(len(close)))
    volumes = 10.0 + np.cos(np.arange(len(close)) * 1.7) if volume is None else volume
    return PriceSeries(times, opened, high, low, close, volumes)


def walk(drift: float = 0.0, *, size: float = 0.005, seed: int = 11, bars: int = BARS) -> FloatArray:
    steps = np.random.default_rng(seed).normal(drift, size, bars)
    closes: FloatArray = 100.0 * np.exp(np.cumsum(steps))
    return closes


def swinging() -> FloatArray:
    closes: FloatArray = 100.0 * (1.0 + 0.01 * np.sin(np.arange(BARS) * 2.0))
    return closes


def spoken(series: PriceSeries, parameters: TechnicalParameters | None = None) -> Signal:
    evidence = Evidence("BTC-USDT", Interval.HOUR, NOW, bars=Bars(series, Interval.HOUR, "directory"))
    signal = speak(evidence, parameters or TechnicalParameters())
    assert isinstance(signal, Signal), signal
    return signal


def figure(signal: Signal, name: str) -> object:
    return next(item.value for item in signal.inputs if item.name == name)


def only(*names: str, **settings: float) -> TechnicalParameters:
    weights = {
        f"weight_{name}": float(name in names) for name in ("rsi", "macd", "bollinger", "trend", "volume")
    }
    return TechnicalParameters.of(weights | settings)


def test_volume_of_rising_bars_buys_and_of_falling_bars_sells() -> None:
    closes = walk()
    rising = np.diff(closes, prepend=closes[0]) > 0.0

    bought = spoken(bars_of(closes, np.where(rising, 30.0, 5.0)), only("volume"))
    sold = spoken(bars_of(closes, np.where(rising, 5.0, 30.0)), only("volume"))

    assert bought.score > 0.2 > -0.2 > sold.score
    assert bought.reasons[0].startswith("RSI")
    assert any(reason.startswith("on-balance volume rose by") for reason in bought.reasons)
    assert any(reason.startswith("on-balance volume fell by") for reason in sold.reasons)


def test_volume_share_is_the_net_volume_of_the_period_over_all_of_it() -> None:
    closes = np.concatenate([walk(bars=BARS - 4), [100.0, 101.0, 100.5, 101.5]])
    volume = np.ones(BARS)
    volume[-3:] = (4.0, 2.0, 4.0)

    signal = spoken(bars_of(closes, volume), only("volume", volume_period=3, volume_full_share=0.8))

    assert figure(signal, "volume_share") == pytest.approx((4 - 2 + 4) / 10)
    assert signal.score == pytest.approx(0.6 / 0.8)


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        (np.zeros(BARS), "the last 20 bars have none"),
        (np.full(BARS, 7.5), "the last 20 bars all have the same"),
        (np.full(BARS, np.nan), "the source gives volumes that cannot be"),
        (np.linspace(-1.0, 5.0, BARS)[::-1], "the source gives volumes that cannot be"),
        (np.full(BARS, 1.7e308), "the source gives volumes that cannot be"),
    ],
    ids=["none", "constant", "nan", "negative", "overflowing"],
)
def test_volume_that_says_nothing_is_left_out_and_lowers_confidence(volume: FloatArray, why: str) -> None:
    with_volume = TechnicalParameters()
    without = replace(with_volume, weight_volume=0.0)

    signal, reference = spoken(bars_of(walk(), volume)), spoken(bars_of(walk()), without)

    assert f"volume is left out: {why}" in signal.reasons
    assert figure(signal, "volume_share") is None
    assert signal.score == reference.score
    assert signal.confidence == pytest.approx(reference.confidence * 0.85, abs=2e-6)


def test_agent_that_is_to_hear_volume_alone_abstains_without_any() -> None:
    series = bars_of(walk(), np.zeros(BARS))
    evidence = Evidence("BTC-USDT", Interval.HOUR, NOW, bars=Bars(series, Interval.HOUR, "directory"))

    found = speak(evidence, only("volume"))

    assert isinstance(found, Abstention)
    assert found.reason == "only volume has a weight, and the last 20 bars have none"


def test_trend_takes_weight_from_what_expects_a_return() -> None:
    series = bars_of(walk(0.004))
    assert regime(series) is Regime.TRENDING_UP
    both = only("rsi", "trend", regime_shift=0.5)
    rsi, trend = (spoken(series, only(name)).score for name in ("rsi", "trend"))

    shifted, plain = spoken(series, both), spoken(series, replace(both, regime_shift=0.0))

    assert plain.score == pytest.approx((rsi + trend) / 2, abs=2e-6)
    assert shifted.score == pytest.approx((rsi * 0.5 + trend) / 1.5, abs=2e-6)


def test_range_takes_weight_from_what_follows_the_move() -> None:
    series = bars_of(swinging())
    assert regime(series) is Regime.RANGING
    both = only("bollinger", "volume", regime_shift=0.8)
    bollinger, volume = (spoken(series, only(name)).score for name in ("bollinger", "volume"))

    assert spoken(series, both).score == pytest.approx((bollinger + volume * 0.2) / 1.2, abs=2e-6)


def test_volatile_regime_lowers_confidence_and_shifts_no_weight() -> None:
    closes = walk()
    closes[-10:] = closes[-11] * np.exp(np.cumsum(np.random.default_rng(1).normal(-0.01, 0.03, 10)))
    series = bars_of(closes)
    assert regime(series) is Regime.VOLATILE
    calm = TechnicalParameters(volatile_confidence=1.0)

    signal, reference = spoken(series), spoken(series, calm)

    assert signal.score == reference.score == spoken(series, replace(calm, regime_shift=0.9)).score
    assert signal.confidence == pytest.approx(reference.confidence / 2, abs=2e-6)
    assert figure(signal, "regime") == "volatile"


def test_window_too_short_for_a_regime_says_so_and_shifts_no_weight() -> None:
    series = bars_of(walk(0.004)).last(100)

    signal = spoken(series)

    assert "the regime is unknown: it needs 120 bars, found 100" in signal.reasons
    assert figure(signal, "regime") is None
    assert signal.score == spoken(series, TechnicalParameters(regime_shift=0.0)).score


def test_first_moves_after_a_still_price_have_no_volatility_to_compare_with() -> None:
    closes = np.concatenate([np.full(BARS - 3, 100.0), [101.0, 99.0, 102.0]])

    signal = spoken(bars_of(closes))

    assert figure(signal, "regime") == "volatile"
    assert figure(signal, "volatility_ratio") is None
    assert any(reason.endswith("volatility after none") for reason in signal.reasons)


def test_regime_of_the_agent_is_that_of_the_track_record_unless_a_tenant_changes_it() -> None:
    assert TechnicalParameters().regime == RegimeParameters()
    assert TechnicalParameters(regime_adx_trending=40.0).regime == RegimeParameters(adx_trending=40.0)
    for name, bound in RegimeParameters.bounds().items():
        assert TechnicalParameters.bounds()[f"regime_{name}"] == bound
