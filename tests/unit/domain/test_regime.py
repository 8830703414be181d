from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alphapulse.domain.agents.parameters import InvalidParameters
from alphapulse.domain.indicators import FloatArray, IndicatorError, NotEnoughBars, NotFinite
from alphapulse.domain.regime import Regime, RegimeParameters, read_regime, regime
from alphapulse.domain.series import PriceSeries

START = datetime(2026, 1, 1, tzinfo=UTC)
BARS = RegimeParameters().bars_needed


def bars_of(closes: Sequence[float] | FloatArray, *, wick: float = 0.002) -> PriceSeries:
    close = np.array(closes, dtype=np.float64)
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) * (1 + wick), np.minimum(opened, close) * (1 - wick)
    times = tuple(START + timedelta(hours=number) for number in range(len(close)))
    return PriceSeries(times, opened, high, low, close, np.ones(len(close)))


def noise(bars: int = BARS, *, size: float = 0.005, seed: int = 11) -> FloatArray:
    return np.random.default_rng(seed).normal(0.0, size, bars)


def moving(drift: float, *, bars: int = BARS) -> PriceSeries:
    return bars_of(100.0 * np.exp(np.cumsum(noise(bars) + drift)))


def back_and_forth(bars: int = BARS) -> PriceSeries:
    return bars_of(100.0 * (1.0 + 0.01 * np.sin(np.arange(bars) * 2.0)))


def test_steady_drift_up_and_down_is_a_trend_of_that_side() -> None:
    assert regime(moving(0.006)) is Regime.TRENDING_UP
    assert regime(moving(-0.006)) is Regime.TRENDING_DOWN


def test_price_that_swings_around_a_level_ranges() -> None:
    assert regime(back_and_forth()) is Regime.RANGING


def test_price_that_never_moves_ranges_with_figures_that_say_so() -> None:
    reading = read_regime(bars_of([100.0] * BARS, wick=0.0))

    assert (reading.regime, reading.adx, reading.efficiency) == (Regime.RANGING, 0.0, 0.0)
    assert reading.volatility_ratio == 1.0


def test_moves_far_above_their_own_history_are_volatile_whatever_their_direction() -> None:
    for drift in (0.0, 0.03, -0.03):
        steps = noise()
        steps[-20:] = noise(20, size=0.03) + drift
        assert regime(bars_of(100.0 * np.exp(np.cumsum(steps)))) is Regime.VOLATILE


def test_first_moves_after_a_still_price_are_volatile_and_their_ratio_infinite() -> None:
    reading = read_regime(bars_of([100.0] * (BARS - 3) + [101.0, 99.0, 102.0], wick=0.0))

    assert (reading.regime, reading.volatility_ratio) == (Regime.VOLATILE, np.inf)


def test_adx_and_efficiency_must_both_reach_their_thresholds() -> None:
    rising = moving(0.002)
    reading = read_regime(rising)
    settings = RegimeParameters(
        adx_trending=reading.adx * 0.99, efficiency_trending=reading.efficiency * 0.99
    )

    assert regime(rising, settings) is Regime.TRENDING_UP
    assert regime(rising, replace(settings, adx_trending=reading.adx * 1.01)) is Regime.RANGING
    assert regime(rising, replace(settings, efficiency_trending=reading.efficiency * 1.01)) is Regime.RANGING


def test_bars_before_those_needed_change_nothing() -> None:
    longer = moving(0.004, bars=BARS + 200)

    assert read_regime(longer) == read_regime(longer.last(BARS))


def test_unit_of_the_price_changes_nothing() -> None:
    closes = moving(0.004).close
    found = read_regime(bars_of(closes))

    for scale in (1e-12, 1e12):
        scaled = read_regime(bars_of(closes * scale))
        assert scaled.regime is found.regime
        assert scaled.adx == pytest.approx(found.adx, rel=1e-9)
        assert scaled.efficiency == pytest.approx(found.efficiency, rel=1e-9)
        assert scaled.volatility_ratio == pytest.approx(found.volatility_ratio, rel=1e-9)


def test_too_few_bars_are_unknown_and_an_error_with_both_numbers_where_figures_are_asked() -> None:
    few = moving(0.006).last(BARS - 1)

    assert regime(few) is Regime.UNKNOWN
    assert regime(few.last(0)) is Regime.UNKNOWN
    with pytest.raises(NotEnoughBars, match=f"needs {BARS} bars, found {BARS - 1}"):
        read_regime(few)


@pytest.mark.parametrize(
    ("value", "error"),
    [(np.nan, IndicatorError), (np.inf, NotFinite), (0.0, IndicatorError), (-1.0, IndicatorError)],
)
def test_price_that_cannot_be_is_unknown_and_refused(value: float, error: type[Exception]) -> None:
    series = moving(0.006)
    series.close[-5] = value

    assert regime(series) is Regime.UNKNOWN
    with pytest.raises(error):
        read_regime(series)


def test_prices_beyond_float64_are_unknown() -> None:
    huge = moving(0.006)
    huge.high[:] = 1.7e308

    assert regime(huge) is Regime.UNKNOWN


def test_regime_parameters_are_bounded() -> None:
    with pytest.raises(InvalidParameters, match="adx_trending must be a number from 5 to 80, was 81"):
        RegimeParameters(adx_trending=81.0)
