import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.agents.robust import (
    is_still,
    known,
    logs,
    median,
    rank_in,
    robust_z,
    trailing_means,
    yearly_medians,
)

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


def test_robust_z_divides_by_the_median_absolute_deviation() -> None:
    # Median 3, deviations 2 1 0 1 97: their median is 1. The outlier does not matter.
    assert robust_z(5.0, np.array([1.0, 2.0, 3.0, 4.0, 100.0])) == pytest.approx(2.0 / 1.482602)


def test_robust_z_falls_back_to_the_mean_deviation_where_most_values_are_alike() -> None:
    # Median 1, MAD 0, mean absolute deviation 4 / 4 = 1.
    assert robust_z(3.0, np.array([1.0, 1.0, 1.0, 5.0])) == pytest.approx(2.0 / 1.253314)


def test_robust_z_of_a_past_that_did_not_move_does_not_exist() -> None:
    assert robust_z(3.0, np.full(9, 2.0)) is None


@given(numbers)
def test_median_is_numpys(values: list[float]) -> None:
    assert median(np.array(values)) == pytest.approx(float(np.median(values)), rel=1e-12, abs=1e-9)


@given(st.lists(st.one_of(st.floats(0, 1e12), st.just(float("nan"))), max_size=40), st.integers(1, 12))
def test_trailing_means_are_the_means_of_what_is_known(values: list[float], days: int) -> None:
    array = np.array(values, dtype=np.float64)
    expected = []
    for end in range(days, len(values) + 1):
        window = known(array[end - days : end])
        expected.append(float(np.mean(window)) if 2 * len(window) >= days else np.nan)

    actual = trailing_means(array, days)

    assert actual.tolist() == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_huge_day_leaves_no_trace_in_later_means() -> None:
    assert trailing_means(np.array([1e30, 1.0, 2.0, 3.0]), 2).tolist()[1:] == [1.5, 2.5]


def test_rank_counts_ties_by_half() -> None:
    assert rank_in(2.0, np.array([1.0, 2.0, 2.0, 3.0])) == 0.5
    assert rank_in(0.0, np.array([1.0, 2.0])) == 0.0
    assert rank_in(9.0, np.array([1.0, 2.0])) == 1.0


def test_logs_of_what_is_not_positive_are_holes() -> None:
    assert logs(np.array([1.0, 0.0, -1.0, np.nan])).tolist() == pytest.approx(
        [0.0, *[np.nan] * 3], nan_ok=True
    )


def test_values_alike_up_to_rounding_are_still() -> None:
    assert is_still(np.array([0.1 + 0.2, np.nan, 0.3]))
    assert is_still(np.array([np.nan]))
    assert is_still(np.zeros(3))
    assert not is_still(np.array([1.0, 1.001]))


def test_years_are_counted_back_from_the_newest_day() -> None:
    values = np.concatenate([np.full(100, 9.0), np.full(365, 1.0), np.full(365, 2.0)])

    assert yearly_medians(values).tolist() == [1.0, 2.0]
    assert yearly_medians(values[:364]).tolist() == []


def test_year_is_judged_by_what_is_known_of_it_if_that_is_half() -> None:
    half, less = np.full(365, np.nan), np.full(365, np.nan)
    half[::2], less[::2] = np.arange(183.0), 1.0
    less[0] = np.nan

    assert yearly_medians(np.concatenate([less, half])).tolist() == pytest.approx([np.nan, 91.0], nan_ok=True)
