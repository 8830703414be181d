"""Covariance estimates: by hand, by their definitions, and where a sample alone would fail."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike

from alphapulse.domain.risk import covariance
from alphapulse.domain.risk.returns import InvalidReturns, NotEnoughObservations, RiskError, UndefinedRatio

FOUR = np.array([[0.01, 0.02], [0.03, -0.01], [-0.02, 0.00], [0.02, 0.03]])


def test_sample_covariance_divides_by_one_less() -> None:
    found = covariance.sample_covariance(FOUR)

    assert found.matrix == pytest.approx(np.cov(FOUR, rowvar=False, ddof=1), abs=1e-18)
    assert (found.method, found.observations, found.shrinkage) == ("sample", 4, None)


def test_ewma_by_hand() -> None:
    found = covariance.ewma_covariance([[0.01], [0.02]], decay=0.5)

    # Weights 1/3 and 2/3: (0.0001 + 2 * 0.0004) / 3.
    assert found.matrix == pytest.approx(np.array([[0.0003]]))


def test_ewma_follows_the_recursion_of_riskmetrics() -> None:
    returns = np.random.default_rng(2).normal(0, 0.02, (2000, 2))
    state = np.zeros((2, 2))
    for row in returns:
        state = 0.94 * state + 0.06 * np.outer(row, row)

    assert covariance.ewma_covariance(returns).matrix == pytest.approx(state, rel=1e-10)


@pytest.mark.parametrize("estimate", [covariance.ledoit_wolf, covariance.ledoit_wolf_constant_correlation])
def test_shrinkage_makes_a_sample_of_too_few_days_invertible(
    estimate: Callable[[ArrayLike], covariance.CovarianceEstimate],
) -> None:
    returns = np.random.default_rng(7).normal(0, 0.02, (30, 80))

    found = estimate(returns)

    assert found.shrinkage is not None
    assert 0.0 < found.shrinkage <= 1.0
    assert np.linalg.eigvalsh(found.matrix).min() > 0.0
    assert np.linalg.matrix_rank(covariance.sample_covariance(returns).matrix) < 80


def test_shrinkage_vanishes_with_more_observations() -> None:
    generator = np.random.default_rng(9)
    truth = np.array([[4e-4, 2e-4], [2e-4, 9e-4]])

    shares = [
        covariance.ledoit_wolf(generator.multivariate_normal([0, 0], truth, size=size)).shrinkage or 0.0
        for size in (20, 200, 20_000)
    ]

    assert shares == sorted(shares, reverse=True)
    assert shares[2] == pytest.approx(0.0, abs=0.01)


def test_shrunk_estimates_keep_the_total_variance() -> None:
    returns = np.random.default_rng(1).normal(0, [0.01, 0.02, 0.05], (40, 3))
    total = np.var(returns, axis=0).sum()

    for estimate in (covariance.ledoit_wolf, covariance.ledoit_wolf_constant_correlation):
        assert np.trace(estimate(returns).matrix) == pytest.approx(total, rel=1e-12)


def test_one_asset_and_two_identical_ones() -> None:
    one = FOUR[:, :1]
    variance = float(np.var(one))

    assert covariance.ledoit_wolf(one).matrix == pytest.approx(np.array([[variance]]))
    assert covariance.ledoit_wolf_constant_correlation(one).matrix == pytest.approx(np.array([[variance]]))
    twins = covariance.ledoit_wolf_constant_correlation(np.hstack([one, one]))
    assert twins.matrix == pytest.approx(np.full((2, 2), variance))


def test_an_asset_that_does_not_vary_has_a_variance_of_zero_and_no_correlation() -> None:
    still = np.column_stack([FOUR[:, 0], np.full(4, 0.01)])

    assert covariance.sample_covariance(still).matrix[1] == pytest.approx([0.0, 0.0], abs=1e-18)
    assert np.isfinite(covariance.ledoit_wolf(still).matrix).all()
    with pytest.raises(UndefinedRatio, match="numbers 1"):
        covariance.correlation([[1.0, 0.0], [0.0, 0.0]])
    nothing = covariance.ledoit_wolf(np.zeros((5, 2)))
    assert (nothing.matrix.tolist(), nothing.shrinkage) == ([[0.0, 0.0], [0.0, 0.0]], 1.0)


def test_correlation_has_ones_on_its_diagonal_and_stays_within_one() -> None:
    matrix = np.outer([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]) * (1 + 1e-16)

    found = covariance.correlation(matrix)

    assert found.tolist() == [[1.0] * 3] * 3
    assert covariance.correlation([[4.0, -1.0], [-1.0, 1.0]])[0, 1] == -0.5


@pytest.mark.parametrize("decay", [0.0, 1.0, math.nan, -0.5])
def test_decay_outside_its_range_is_refused(decay: float) -> None:
    with pytest.raises(RiskError, match="decay"):
        covariance.ewma_covariance(FOUR, decay=decay)


def test_bad_returns_are_refused() -> None:
    with pytest.raises(NotEnoughObservations):
        covariance.sample_covariance(FOUR[:1])
    with pytest.raises(InvalidReturns, match="at least one asset"):
        covariance.ledoit_wolf(np.zeros((4, 0)))
    with pytest.raises(InvalidReturns, match="finite"):
        covariance.ledoit_wolf([[0.1, math.nan], [0.1, 0.2]])
    with pytest.raises(RiskError, match="square"):
        covariance.correlation([[1.0, 0.5]])
