from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from alphapulse.domain.agents.evidence import DailySeries, Evidence
from alphapulse.domain.agents.history import History, HistoryReader, aligned
from alphapulse.domain.instruments import Interval
from tests.unit.domain.agents.builders import NOW, YESTERDAY, series, with_chain


def read(
    found: DailySeries,
    *,
    days: int = 10,
    least_days: int = 1,
    now: datetime = NOW,
    may_rest: bool = True,
) -> History | str:
    evidence = replace(with_chain(found), now=now)
    reader = HistoryReader(evidence, days=days, least_days=least_days, max_age_days=3)
    return reader.read(found.name, may_rest=may_rest)


def history(found: DailySeries, *, days: int = 10) -> History:
    result = read(found, days=days)
    assert isinstance(result, History), result
    return result


def days(*numbers: int) -> tuple[date, ...]:
    return tuple(YESTERDAY + timedelta(days=number) for number in numbers)


def of(numbers: tuple[int, ...], values: list[float]) -> DailySeries:
    return DailySeries("fees_usd", days(*numbers), np.array(values), "simulated", NOW)


def test_newest_days_are_kept_with_time_and_source() -> None:
    found = history(series("fees_usd", range(1, 31)), days=5)

    assert found.values.tolist() == [26.0, 27.0, 28.0, 29.0, 30.0]
    assert (found.as_of, found.source) == (datetime(2026, 6, 1, tzinfo=UTC), "simulated")
    assert found.newest == 30.0


def test_days_a_source_left_out_are_holes_at_their_place() -> None:
    found = history(of((-4, -3, 0), [1.0, 2.0, 5.0]))

    assert found.values.tolist() == pytest.approx([1.0, 2.0, np.nan, np.nan, 5.0], nan_ok=True)


def test_order_and_repetition_do_not_matter_and_the_last_figure_of_a_day_counts() -> None:
    found = history(of((0, -2, -1, -2, 0), [9.0, 8.0, 2.0, 1.0, 3.0]))

    assert found.values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("count", [3, 8, 20, 40])
def test_shuffled_days_give_the_same_history_as_sorted_ones(count: int) -> None:
    values = np.random.default_rng(count).uniform(1.0, 9.0, count)
    values[[1, -1]] = np.nan
    found = series("fees_usd", values)
    order = np.random.default_rng(2).permutation(count)
    shuffled = replace(found, days=tuple(found.days[place] for place in order), values=values[order])

    expected, actual = history(found), history(shuffled)

    np.testing.assert_array_equal(expected.values, actual.values)
    assert expected.as_of == actual.as_of


def test_days_that_had_not_ended_are_cut_off() -> None:
    whole = series("fees_usd", range(1, 31), last=YESTERDAY + timedelta(days=2))
    far = series("fees_usd", range(1, 31), last=YESTERDAY + timedelta(days=20))

    assert history(whole).values.tolist() == [float(value) for value in range(19, 29)]
    assert history(far).values.tolist() == [float(value) for value in range(1, 11)]
    assert read(series("fees_usd", [1.0], last=NOW.date())) == "fees_usd has no usable figure"


def test_figures_that_cannot_be_are_holes_and_dust_is_zero() -> None:
    found = history(of((-6, -5, -4, -3, -2, -1, 0), [1.0, np.inf, -np.inf, -1.0, 1e31, 1e-31, 1e30]))

    assert found.values.tolist() == pytest.approx([1.0, *[np.nan] * 4, 0.0, 1e30], nan_ok=True)


def test_newest_day_without_a_figure_makes_the_history_older() -> None:
    found = history(series("fees_usd", [1.0, 2.0, 3.0, np.nan, np.nan]))

    assert found.as_of == datetime(2026, 5, 30, tzinfo=UTC)
    assert found.values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (of((), []), "fees_usd has no usable figure"),
        (of((0,), [np.nan]), "fees_usd has no usable figure"),
        (of((-1, 0), [1.0]), "fees_usd has no usable figure"),
        (of((0,), [5.0]), "fees_usd needs 2 days, found 1"),
        (of((-1, 0), [5.0, 5.0]), "fees_usd did not change in 2 days"),
        (of((-5, -4), [5.0, 6.0]), "fees_usd ends with 2026-05-28T00:00:00+00:00, more than 3 days ago"),
    ],
)
def test_history_that_is_not_there_says_why(found: DailySeries, reason: str) -> None:
    assert read(found, least_days=2, may_rest=False) == reason


def test_replayed_history_is_never_too_old() -> None:
    found = replace(of((-900, -899), [5.0, 6.0]), source="directory")

    assert isinstance(read(found), History)


def test_missing_series_and_missing_source_are_told_apart() -> None:
    empty = Evidence("BTC-USDT", Interval.DAY, NOW, missing={"on_chain": "the source is down"})
    reader = HistoryReader(empty, days=10, least_days=1, max_age_days=3)
    other = HistoryReader(with_chain(series("fees_usd", [1.0])), days=10, least_days=1, max_age_days=3)

    assert reader.read("supply") == "the source is down"
    assert other.read("supply") == "no source gives supply"


def test_a_source_that_gave_nothing_is_named_beside_a_figure_that_it_might_have_had() -> None:
    missing = {"on_chain.blockchain_com": "blockchain_com answered 503", "supply.coingecko": "is down"}
    evidence = replace(with_chain(series("fees_usd", [1.0])), missing=missing)
    reader = HistoryReader(evidence, days=10, least_days=1, max_age_days=3)

    assert reader.read("transfer_volume_usd") == (
        "no source gives transfer_volume_usd; nothing from blockchain_com: blockchain_com answered 503"
    )


def test_two_histories_are_aligned_to_the_days_both_cover() -> None:
    longer = history(series("fees_usd", [1.0, 2.0, 3.0, 4.0, 5.0]))
    older = history(series("supply", [7.0, 8.0], last=YESTERDAY - timedelta(days=1)))

    pair = aligned(longer, older)

    assert pair is not None
    assert [item.values.tolist() for item in pair] == [[3.0, 4.0], [7.0, 8.0]]
    assert {item.as_of for item in pair} == {older.as_of}


def test_histories_without_a_day_in_common_are_not_aligned() -> None:
    old = history(replace(of((-90, -89), [5.0, 6.0]), source="directory"))

    assert aligned(old, history(series("supply", [1.0, 2.0]))) is None
    assert aligned(history(series("supply", [1.0, 2.0])), old) is None
