from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.candles import Candle, Gap, InvalidCandle, aggregate, find_gaps
from alphapulse.domain.instruments import Interval

START = datetime(2026, 1, 1, tzinfo=UTC)


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def bar(number: int, *, opened: int = 10, high: int = 12, low: int = 9, close: int = 11) -> Candle:
    return Candle(
        minute(number), Decimal(opened), Decimal(high), Decimal(low), Decimal(close), Decimal("0.5")
    )


def test_unbroken_series_has_no_gaps() -> None:
    assert find_gaps([minute(number) for number in range(5)], Interval.MINUTE) == []


@pytest.mark.parametrize("count", [0, 1])
def test_series_too_short_for_a_gap_has_none(count: int) -> None:
    assert find_gaps([minute(0)] * count, Interval.MINUTE) == []


def test_gaps_name_first_and_last_missing_bar_and_their_number() -> None:
    gaps = find_gaps([minute(number) for number in (0, 2, 3, 7)], Interval.MINUTE)

    assert gaps == [Gap(minute(1), minute(1), 1), Gap(minute(4), minute(6), 3)]


@pytest.mark.parametrize("numbers", [(1, 0), (1, 1)])
def test_times_that_do_not_ascend_are_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(InvalidCandle, match="must ascend by whole intervals"):
        find_gaps([minute(number) for number in numbers], Interval.MINUTE)


def test_times_between_bars_are_refused() -> None:
    with pytest.raises(InvalidCandle, match="must ascend by whole intervals"):
        find_gaps([minute(0), minute(7)], Interval.FIVE_MINUTES)


@given(st.sets(st.integers(min_value=0, max_value=200), min_size=2))
def test_bars_and_gaps_together_cover_the_span(numbers: set[int]) -> None:
    present = sorted(numbers)

    gaps = find_gaps([minute(number) for number in present], Interval.MINUTE)

    missing = set(range(present[0], present[-1])) - numbers
    found = [gap.first_missing + timedelta(minutes=n) for gap in gaps for n in range(gap.count)]
    assert found == [minute(number) for number in sorted(missing)]
    assert all(gap.last_missing - gap.first_missing == timedelta(minutes=gap.count - 1) for gap in gaps)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (bar(0, low=0), "low must be positive"),
        (bar(0, low=11, opened=11), None),
        (bar(0, low=11, opened=10), "low 11 is above open or close"),
        (bar(0, high=10), "high 10 is below open or close"),
    ],
)
def test_prices_that_contradict_each_other_are_refused(wrong: Candle, message: str | None) -> None:
    if message is None:
        wrong.validate()
    else:
        with pytest.raises(InvalidCandle, match=message):
            wrong.validate()


def test_negative_volume_is_refused() -> None:
    wrong = Candle(START, Decimal(1), Decimal(1), Decimal(1), Decimal(1), Decimal(-1))

    with pytest.raises(InvalidCandle, match="volume must not be negative, was -1"):
        wrong.validate()


def test_coarser_bar_has_first_open_extremes_last_close_and_sum_of_volume() -> None:
    bars = [bar(0, opened=10), bar(1, high=20), bar(2, low=5), bar(3), bar(4, close=12)]

    (combined,) = aggregate(bars, finer=Interval.MINUTE, coarser=Interval.FIVE_MINUTES)

    expected = Candle(START, Decimal(10), Decimal(20), Decimal(5), Decimal(12), Decimal("2.5"))
    assert combined == expected


def test_coarser_bar_that_misses_a_part_is_left_out() -> None:
    bars = [bar(number) for number in range(15) if number != 7]

    combined = aggregate(bars, finer=Interval.MINUTE, coarser=Interval.FIVE_MINUTES)

    assert [candle.open_time for candle in combined] == [minute(0), minute(10)]
    assert find_gaps([candle.open_time for candle in combined], Interval.FIVE_MINUTES)[0].count == 1


def test_finer_bars_cannot_be_made_of_coarser_ones() -> None:
    with pytest.raises(InvalidCandle, match="bars of 1m cannot be made of bars of 5m"):
        aggregate([], finer=Interval.FIVE_MINUTES, coarser=Interval.MINUTE)
