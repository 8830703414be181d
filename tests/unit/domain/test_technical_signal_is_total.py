"""Whatever the evidence is, the technical agent speaks or abstains with a reason; it never raises."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from alphapulse.domain.agents.evidence import Bars, Evidence
from alphapulse.domain.agents.technical import speak
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import PriceSeries
from alphapulse.domain.signals import Abstention, Signal

START = datetime(2026, 1, 1, tzinfo=UTC)
BARS = 240
EXTREMES = [math.nan, math.inf, -math.inf, 0.0, -1.0, 5e-324, 1e-300, 1e-9, 1.0, 1e9, 1e154, 1e300, 1.7e308]
COLUMNS = ("open", "high", "low", "close", "volume")

Change = Callable[[PriceSeries], PriceSeries]


def hours(count: int) -> tuple[datetime, ...]:
    return tuple(START + timedelta(hours=number) for number in range(count))


def ordinary(bars: int = BARS) -> PriceSeries:
    generator = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.01, bars)))
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) * 1.005, np.minimum(opened, close) * 0.995
    return PriceSeries(hours(bars), opened, high, low, close, generator.uniform(1.0, 2.0, bars))


def judged(
    series: PriceSeries, *, now: datetime | None = None, source: str = "simulated"
) -> Signal | Abstention:
    moment = now or START + timedelta(hours=BARS)
    evidence = Evidence("BTC-USDT", Interval.HOUR, moment, bars=Bars(series, Interval.HOUR, source))
    found = speak(evidence, TechnicalParameters())
    if isinstance(found, Abstention):
        assert found.reason
    else:
        assert -1.0 <= found.score <= 1.0
        assert 0.0 <= found.confidence <= 1.0
        assert all(math.isfinite(item.value) for item in found.inputs if isinstance(item.value, float))
    return found


def times(change: Callable[[list[datetime]], object]) -> Change:
    def changed(series: PriceSeries) -> PriceSeries:
        found = list(series.open_times)
        change(found)
        return replace(series, open_times=tuple(found))

    return changed


def value(column: str, number: float, at: int = -7) -> Change:
    def changed(series: PriceSeries) -> PriceSeries:
        values = getattr(series, column).copy()
        values[at] = number
        return replace(series, **{column: values})

    return changed


def scaled(factor: float) -> Change:
    def changed(series: PriceSeries) -> PriceSeries:
        prices = {name: getattr(series, name) * factor for name in COLUMNS[:4]}
        return replace(series, **prices)

    return changed


NO_SIGNAL: dict[str, tuple[Change, str]] = {
    "one bar": (lambda series: series.last(1), "needs 50 bars of 1h, found 1"),
    "no bar": (lambda series: series.last(0), "needs 50 bars of 1h, found 0"),
    "descending": (times(list.reverse), "must ascend by whole intervals"),
    "one bar twice": (times(lambda found: found.__setitem__(-2, found[-1])), "must ascend by whole"),
    "two bars swapped": (
        times(lambda found: found.__setitem__(slice(-3, -1), [found[-2], found[-3]])),
        "must ascend",
    ),
    "half a bar off": (
        times(lambda found: found.__setitem__(-1, found[-1] + timedelta(minutes=30))),
        "must ascend by whole intervals",
    ),
    "a time without a zone": (
        times(lambda found: found.__setitem__(-2, found[-2].replace(tzinfo=None))),
        "the times of the bars are unusable",
    ),
    "the end of the calendar": (
        lambda series: replace(
            series,
            open_times=tuple(datetime.max.replace(tzinfo=UTC) - timedelta(hours=n) for n in range(BARS))[
                ::-1
            ],
        ),
        "the times of the bars are unusable",
    ),
    "columns of several lengths": (
        lambda series: replace(series, high=series.high[1:]),
        "columns differ in length",
    ),
    "nan": (value("close", math.nan), "is not finite"),
    "inf": (value("high", math.inf), "is not finite"),
    "-inf": (value("low", -math.inf), "is not finite"),
    "a price of zero": (value("low", 0.0), "a price must be positive, was 0"),
    "a negative price": (value("close", -3.0), "a price must be positive, was -3"),
    "a high below the close": (value("high", 1e-3), "a price is outside its bar's high and low"),
    "all of one price": (
        lambda series: PriceSeries(hours(BARS), *(np.full(BARS, 7.0) for _ in COLUMNS)),
        "did not move",
    ),
    "prices of 1e306": (scaled(1e304), "prices too extreme to reckon with"),
}


@pytest.mark.parametrize("case", NO_SIGNAL)
def test_evidence_that_cannot_be_used_abstains_with_its_reason(case: str) -> None:
    change, reason = NO_SIGNAL[case]

    found = judged(change(ordinary()))

    assert isinstance(found, Abstention)
    assert reason in found.reason


def test_evidence_without_bars_abstains_with_the_reason_it_brings() -> None:
    now = START + timedelta(hours=BARS)
    empty = Evidence("BTC-USDT", Interval.HOUR, now, missing={"candles": "the exchange is down"})

    for evidence, reason in (
        (empty, "the exchange is down"),
        (replace(empty, missing={}), "there is no candles data"),
    ):
        found = speak(evidence, TechnicalParameters())
        assert isinstance(found, Abstention)
        assert found.reason == reason


def test_moment_without_a_zone_abstains() -> None:
    naive = (START + timedelta(hours=BARS)).replace(tzinfo=None)

    assert isinstance(judged(ordinary(), now=naive), Abstention)


@pytest.mark.parametrize("factor", [1e-150, 1e-12, 1e12, 1e140])
def test_unit_of_the_price_changes_neither_score_nor_confidence(factor: float) -> None:
    plain, found = judged(ordinary()), judged(scaled(factor)(ordinary()))

    assert isinstance(plain, Signal)
    assert isinstance(found, Signal)
    assert found.score == pytest.approx(plain.score, abs=2e-6)
    assert found.confidence == pytest.approx(plain.confidence, abs=2e-6)


@st.composite
def broken(draw: st.DrawFn) -> PriceSeries:
    series = ordinary()
    for column in draw(st.sets(st.sampled_from(COLUMNS), min_size=1)):
        values: FloatArray = getattr(series, column)
        places = draw(st.lists(st.integers(0, BARS - 1), max_size=4))
        values[places] = draw(st.sampled_from(EXTREMES))
    return series


@st.composite
def invented(draw: st.DrawFn) -> PriceSeries:
    bars = draw(st.integers(0, 130))
    element = st.one_of(st.sampled_from(EXTREMES), st.floats(1e-3, 1e3))
    columns = [draw(hn.arrays(np.float64, bars, elements=element, fill=element)) for _ in COLUMNS]
    ordered = np.sort(np.array(columns[:4]), axis=0)
    if draw(st.booleans()):  # highs and lows where they belong, so that the prices may be reckoned with
        columns[:4] = [ordered[1], ordered[3], ordered[0], ordered[2]]
    start = BARS - bars
    return PriceSeries(tuple(START + timedelta(hours=start + n) for n in range(bars)), *columns)


@settings(max_examples=60)
@given(st.one_of(broken(), invented()))
def test_any_prices_and_volumes_give_a_signal_in_range_or_an_abstention(series: PriceSeries) -> None:
    judged(series)


@settings(max_examples=40)
@given(st.lists(st.integers(-3, 3), min_size=60, max_size=120))
def test_any_order_of_times_gives_a_signal_in_range_or_an_abstention(steps: list[int]) -> None:
    series = ordinary(len(steps))
    found = [START + timedelta(hours=int(step)) for step in np.cumsum(steps)]

    judged(replace(series, open_times=tuple(found)))
