"""Scores of signals: expected numbers by hand from the definitions, and what must hold for all."""

import math
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.signals import Direction
from alphapulse.domain.track_record import (
    ImpossibleReturn,
    Score,
    TrackRecord,
    forward_return,
    hold_band,
    score,
)

DAY = timedelta(days=1)
BUY, SELL, HOLD = Direction.BUY, Direction.SELL, Direction.HOLD

prices = st.decimals("0.001", "900", places=8).filter(lambda price: price > 0)
confidences = st.floats(0, 1).map(lambda value: round(value, 6))
directions = st.sampled_from(Direction)
records = st.lists(st.tuples(directions, confidences, prices, prices), max_size=40)


def scored(direction: Direction, confidence: float, before: str, after: str) -> Score:
    return score(
        direction, confidence, signal_price=Decimal(before), horizon_price=Decimal(after), horizon=DAY
    )


@pytest.mark.parametrize(
    ("direction", "after", "hit"),
    [
        (BUY, "100.01", True),
        (BUY, "100", False),
        (BUY, "99.99", False),
        (SELL, "99.99", True),
        (SELL, "100", False),
        (SELL, "100.01", False),
        (HOLD, "100", True),
        (HOLD, "102", True),
        (HOLD, "98", True),
        (HOLD, "102.01", False),
        (HOLD, "97.99", False),
    ],
)
def test_signal_hits_when_the_price_went_its_way(direction: Direction, after: str, *, hit: bool) -> None:
    assert scored(direction, 0.5, "100", after).hit is hit


@pytest.mark.parametrize(
    ("confidence", "after", "brier"),
    [
        (0.8, "110", "0.04"),  # (0.8 - 1)^2
        (0.8, "90", "0.64"),  # (0.8 - 0)^2
        (0.5, "110", "0.25"),
        (1.0, "110", "0"),
        (1.0, "90", "1"),
        (0.0, "90", "0"),
        (0.123457, "90", "0.015241630849"),
    ],
)
def test_brier_score_is_the_squared_miss_of_the_confidence(confidence: float, after: str, brier: str) -> None:
    assert scored(BUY, confidence, "100", after).brier == Decimal(brier)


def test_brier_scores_of_four_forecasts_average_as_in_the_definition() -> None:
    # Rain forecast 0.7, 0.9, 0.8, 0.4, rain on the first, second and third day:
    # (0.09 + 0.01 + 0.04 + 0.16) / 4, half of Brier's own sum over rain and no rain.
    forecasts = [(0.7, "101"), (0.9, "101"), (0.8, "101"), (0.4, "99")]
    parts = [
        TrackRecord.of_score(BUY, confidence, scored(BUY, confidence, "100", after))
        for confidence, after in forecasts
    ]

    record = TrackRecord.total(parts)

    assert record.brier == Decimal("0.075")
    assert record.hit_rate == Decimal("0.75")
    assert record.average_confidence == Decimal("0.7")


def test_returns_are_averaged_as_they_were_and_in_the_direction_of_the_signals() -> None:
    said = [(BUY, "110"), (SELL, "90"), (SELL, "105"), (HOLD, "101")]
    record = TrackRecord.total(
        TrackRecord.of_score(direction, 0.5, scored(direction, 0.5, "100", after))
        for direction, after in said
    )

    assert record.average_forward_return == Decimal("0.015")  # (0.10 - 0.10 + 0.05 + 0.01) / 4
    assert record.average_directed_return == Decimal("0.0375")  # (0.10 + 0.10 - 0.05 + 0) / 4


@pytest.mark.parametrize(
    ("horizon", "band"),
    [
        (timedelta(days=1), "0.02"),
        (timedelta(days=4), "0.04"),
        (timedelta(hours=6), "0.01"),
        (timedelta(days=90), "0.189736659610"),  # 0.02 * sqrt(90)
    ],
)
def test_hold_band_grows_with_the_root_of_the_horizon(horizon: timedelta, band: str) -> None:
    assert hold_band(horizon) == Decimal(band)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0", "1"),
        ("1", "0"),
        ("-1", "1"),
        ("1", "-1"),
        ("0.000001", "1.1"),
        ("1.1", "0.000001"),
        ("NaN", "1"),
    ],
)
def test_impossible_prices_are_refused(before: str, after: str) -> None:
    with pytest.raises((ImpossibleReturn, ArithmeticError)):
        forward_return(Decimal(before), Decimal(after))


def test_record_of_nothing_has_no_averages() -> None:
    record = TrackRecord.total([TrackRecord.of_unscorable(), TrackRecord.of_unscorable()])

    assert (record.scored, record.unscorable) == (0, 2)
    averages = (record.hit_rate, record.average_forward_return, record.average_directed_return, record.brier)
    assert averages == (None, None, None, None)


@given(directions, confidences, prices, prices)
def test_scores_stay_in_range(
    direction: Direction, confidence: float, before: Decimal, after: Decimal
) -> None:
    result = score(direction, confidence, signal_price=before, horizon_price=after, horizon=DAY)

    assert 0 <= result.brier <= 1
    assert result.forward_return > -1
    assert float(result.forward_return) == pytest.approx(float(after / before) - 1, abs=1e-9, rel=1e-9)
    assert math.isclose(result.brier, (confidence - result.hit) ** 2, abs_tol=1e-9)


@given(prices, prices, prices)
def test_returns_compound(first: Decimal, second: Decimal, third: Decimal) -> None:
    way = (1 + forward_return(first, second)) * (1 + forward_return(second, third))

    assert math.isclose(way, 1 + forward_return(first, third), rel_tol=1e-6, abs_tol=1e-6)


@given(prices, prices)
def test_buy_and_sell_are_never_both_right(before: Decimal, after: Decimal) -> None:
    hits = [
        score(direction, 0.5, signal_price=before, horizon_price=after, horizon=DAY).hit
        for direction in (BUY, SELL)
    ]

    assert sum(hits) == (forward_return(before, after) != 0)


@given(records, st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_order_or_grouping(
    said: list[tuple[Direction, float, Decimal, Decimal]], random: "object"
) -> None:
    parts = [
        TrackRecord.of_score(
            direction,
            confidence,
            score(direction, confidence, signal_price=before, horizon_price=after, horizon=DAY),
        )
        for direction, confidence, before, after in said
    ]
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis' Random
    half = len(parts) // 2
    grouped = [TrackRecord.total(shuffled[:half]), TrackRecord.total(shuffled[half:])]

    assert TrackRecord.total(parts) == TrackRecord.total(shuffled) == TrackRecord.total(grouped)
