from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from alphapulse.domain.agents.evidence import Bars, Evidence
from alphapulse.domain.agents.parameters import InvalidParameters
from alphapulse.domain.agents.technical import AGENT_VERSION, speak
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import PriceSeries, price_series
from alphapulse.domain.signals import Abstention, Direction, Signal

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
COMPONENTS = ("rsi", "macd", "bollinger", "trend", "volume")


def series_of(
    closes: Sequence[float],
    *,
    missing: frozenset[int] = frozenset(),
    wick: float = 0.01,
    volume: Sequence[float] | None = None,
) -> PriceSeries:
    rows = [
        (START + timedelta(hours=number), closes[max(number - 1, 0)], close)
        for number, close in enumerate(closes)
        if number not in missing
    ]
    times, opened, close = (list(column) for column in zip(*rows, strict=True))
    opens, ends = np.array(opened), np.array(close)
    high, low = np.maximum(opens, ends) * (1 + wick), np.minimum(opens, ends) * (1 - wick)
    # Volumes that differ, and are the same for the same bar.
    volumes = np.array(volume) if volume is not None else 10.0 + np.cos(np.arange(len(ends)) * 1.7)
    return PriceSeries(tuple(times), opens, high, low, ends, volumes)


def wandering(bars: int = 300, seed: int = 3) -> list[float]:
    steps = np.random.default_rng(seed).normal(0.0, 0.01, bars)
    return list((100.0 * np.exp(np.cumsum(steps))).tolist())


def judge(
    series: PriceSeries,
    parameters: TechnicalParameters | None = None,
    *,
    source: str = "directory",
    now: datetime = NOW,
) -> Signal | Abstention:
    bars = Bars(series, Interval.HOUR, source)
    evidence = Evidence("BTC-USDT", Interval.HOUR, now, bars=bars)
    return speak(evidence, parameters or TechnicalParameters())


def only(name: str, **settings: float) -> TechnicalParameters:
    nothing = {f"weight_{other}": 0.0 for other in COMPONENTS}
    return TechnicalParameters.of(nothing | {f"weight_{name}": 1.0} | settings)


def spoken(series: PriceSeries, parameters: TechnicalParameters | None = None) -> Signal:
    signal = judge(series, parameters)
    assert isinstance(signal, Signal)
    return signal


def refused(series: PriceSeries, *, source: str = "directory", now: datetime = NOW) -> Abstention:
    abstention = judge(series, source=source, now=now)
    assert isinstance(abstention, Abstention)
    return abstention


def test_signal_names_agent_version_time_and_what_it_was_made_from() -> None:
    signal = spoken(series_of(wandering()))

    assert (signal.agent, signal.agent_version, signal.generated_at) == ("technical", AGENT_VERSION, NOW)
    closed_at = START + timedelta(hours=300)
    assert {item.as_of for item in signal.inputs} == {closed_at}
    assert {item.source for item in signal.inputs} == {"directory"}
    assert [item.name for item in signal.inputs] == [
        "bars",
        "missing_bars",
        "close",
        "rsi",
        "macd_histogram",
        "bollinger_position",
        "atr",
        "ema_fast",
        "ema_slow",
        "volume_share",
        "adx",
        "efficiency",
        "volatility_ratio",
        "regime",
    ]


def test_reasons_carry_the_numbers_of_the_inputs() -> None:
    signal = spoken(series_of(wandering()))

    figures: dict[str, Any] = {item.name: item.value for item in signal.inputs}
    assert f"RSI(14) is {figures['rsi']:.1f}" in signal.reasons[0]
    assert signal.reasons[1].startswith("MACD(12,26,9) is ")
    assert "Bollinger bands (20,2)" in signal.reasons[2]
    assert f"EMA(20) {figures['ema_fast']:.6g}" in signal.reasons[3]
    assert f"by {100 * abs(figures['volume_share']):.0f} % of the volume of 20 bars" in signal.reasons[4]
    assert f"the ATR is {figures['atr']:.6g}" in signal.reasons[5]
    assert f"the regime is {str(figures['regime']).replace('_', ' ')}: ADX(14) " in signal.reasons[6]
    assert f"{figures['volatility_ratio']:.2f} times its median" in signal.reasons[6]


def test_score_and_confidence_stay_in_their_ranges_and_score_decides_direction() -> None:
    for seed in range(40):
        signal = spoken(series_of(wandering(seed=seed)))

        assert -1.0 <= signal.score <= 1.0
        assert 0.0 <= signal.confidence <= 1.0
        assert (signal.signal is Direction.BUY) == (signal.score > 0.2)
        assert (signal.signal is Direction.SELL) == (signal.score < -0.2)


def test_turn_upwards_out_of_a_long_fall_buys_and_its_mirror_sells() -> None:
    falling = [100.0 * 0.995**bar for bar in range(200)]
    turning = [falling[-1] * 1.002**bar for bar in range(1, 6)]
    only_macd = only("macd")

    assert spoken(series_of(falling + turning), only_macd).signal is Direction.BUY
    assert spoken(series_of([1e4 / close for close in falling + turning]), only_macd).signal is Direction.SELL


def test_each_weight_alone_lets_its_indicator_decide() -> None:
    rising = series_of([100.0 * 1.01**bar for bar in range(200)])

    def alone(name: str) -> float:
        return spoken(rising, only(name)).score

    assert alone("trend") == 1.0
    assert alone("rsi") == -1.0
    assert alone("bollinger") < -0.5
    assert alone("volume") == 1.0


def test_bars_before_the_window_change_nothing() -> None:
    closes = wandering(400)

    longer, shorter = spoken(series_of(closes)), spoken(series_of(closes).last(200))

    assert longer == shorter


def test_too_few_bars_abstain_with_both_numbers() -> None:
    assert isinstance(judge(series_of(wandering(50))), Signal)
    assert refused(series_of(wandering(49))).reason == "needs 50 bars of 1h, found 49"


def test_no_bars_at_all_abstain() -> None:
    assert refused(price_series([])).reason == "needs 50 bars of 1h, found 0"


def test_gap_within_the_tolerance_is_named_and_lowers_confidence() -> None:
    unbroken = series_of(wandering())
    earlier = tuple(at - timedelta(hours=2) for at in unbroken.open_times[:250])

    signal = spoken(replace(unbroken, open_times=earlier + unbroken.open_times[250:]))

    assert signal.reasons[-1] == (
        "2 bars of 1h missing from 2026-01-11T08:00:00+00:00 to 2026-01-11T09:00:00+00:00"
    )
    assert next(item.value for item in signal.inputs if item.name == "missing_bars") == 2
    assert signal.confidence == pytest.approx(spoken(unbroken).confidence * 200 / 202, abs=1e-5)


def test_gap_beyond_the_tolerance_abstains_and_names_it() -> None:
    abstention = refused(series_of(wandering(), missing=frozenset(range(250, 254))))

    assert abstention.reason == (
        "4 bars of 1h missing from 2026-01-11T10:00:00+00:00 to 2026-01-11T13:00:00+00:00, "
        "at most 3 in a row are tolerated"
    )
    assert next(item.value for item in abstention.inputs if item.name == "missing_bars") == 4


def test_gap_before_the_window_does_not_matter() -> None:
    signal = spoken(series_of(wandering(400), missing=frozenset(range(50, 90))))

    assert not any("missing" in reason for reason in signal.reasons)


def test_last_bar_that_is_too_old_abstains_only_when_an_age_is_asked_for() -> None:
    series = series_of(wandering())

    assert isinstance(judge(series), Signal)
    latest = series.open_times[-1] + timedelta(hours=2, seconds=120)
    assert isinstance(judge(series, source="simulated", now=latest), Signal)
    late = refused(series, source="simulated", now=latest + timedelta(seconds=1))
    assert late.reason.startswith("the last bar closed at 2026-01-13")


def test_price_that_does_not_move_abstains() -> None:
    expected = "the price of BTC-USDT did not move in the window"

    assert refused(series_of([100.0] * 300)).reason == expected
    assert refused(series_of([100.0] * 300, wick=0.0)).reason == expected


def test_value_that_is_not_finite_abstains() -> None:
    series = series_of(wandering())
    series.close[-3] = np.nan

    assert "not finite" in refused(series).reason


def test_bars_of_another_interval_than_asked_for_abstain() -> None:
    bars = Bars(series_of(wandering()), Interval.DAY, "directory")

    found = speak(Evidence("BTC-USDT", Interval.HOUR, NOW, bars=bars), TechnicalParameters())

    assert isinstance(found, Abstention)
    assert found.reason == "asked about bars of 1h, found bars of 1d"


def test_bars_that_have_not_closed_yet_abstain() -> None:
    series = series_of(wandering())
    before = series.open_times[-1] + timedelta(minutes=59)

    assert "after 2026-01-13T11:59:00" in str(judge(series, now=before))
    assert isinstance(judge(series, now=before + timedelta(minutes=1)), Signal)


def test_candles_become_arrays_with_their_times() -> None:
    candles = [
        Candle(START + timedelta(hours=n), Decimal(1), Decimal("2.5"), Decimal("0.5"), Decimal(2), Decimal(n))
        for n in range(3)
    ]

    series = price_series(candles)

    assert len(series) == 3
    assert series.open_times[-1] == START + timedelta(hours=2)
    assert series.high.tolist() == [2.5] * 3
    assert series.volume.tolist() == [0.0, 1.0, 2.0]


def test_defaults_are_within_their_documented_bounds() -> None:
    assert {item.name for item in fields(TechnicalParameters)} == set(TechnicalParameters.bounds())
    assert TechnicalParameters.of({}) == TechnicalParameters()
    assert TechnicalParameters().bars_needed == 50


def test_settings_replace_defaults() -> None:
    expected = replace(TechnicalParameters(), rsi_period=7, weight_trend=0.5)

    assert TechnicalParameters.of({"rsi_period": 7, "weight_trend": 0.5}) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rsi_perio": 7}, "unknown parameters: rsi_perio"),
        ({"rsi_period": 1}, "rsi_period must be a whole number from 2 to 100, was 1"),
        ({"rsi_period": 7.5}, "rsi_period must be a whole number"),
        ({"rsi_period": "14"}, "rsi_period must be a whole number"),
        ({"rsi_period": True}, "rsi_period must be a whole number"),
        ({"rsi_oversold": float("nan")}, "rsi_oversold must be a number from 1 to 49, was nan"),
        ({"macd_fast": 26}, "macd_fast must be less than macd_slow, was 26 and 26"),
        ({"trend_fast": 60}, "trend_fast must be less than trend_slow"),
        ({"window": 49}, "window must be at least 50 bars, was 49"),
        ({f"weight_{name}": 0 for name in COMPONENTS}, "at least one weight"),
        ({"regime_adx_trending": 4}, "regime_adx_trending must be a number from 5 to 80, was 4"),
        ({"regime_shift": 1}, "regime_shift must be a number from 0 to 0.9, was 1"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        TechnicalParameters.of(settings)
