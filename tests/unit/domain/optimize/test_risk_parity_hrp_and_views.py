"""Risk parity's budgets, the hierarchy's tree, and Black-Litterman's limits."""

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st

from alphapulse.domain.optimize import black_litterman as bl
from alphapulse.domain.optimize.constraints import Constraints, long_only
from alphapulse.domain.optimize.errors import InvalidProblem
from alphapulse.domain.optimize.hrp import hierarchical_risk_parity
from alphapulse.domain.optimize.moments import estimate, given
from alphapulse.domain.optimize.risk_parity import risk_parity, risk_shares
from alphapulse.domain.risk.returns import UndefinedRatio


@settings(max_examples=60, deadline=None, derandomize=True)
@cases(st.integers(1, 40), st.integers(0, 2**31))
def test_shares_of_risk_match_their_budgets(assets: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    moments = estimate(generator.normal(0, 0.03, (60, assets)) * generator.uniform(0.1, 10, assets) / 10)
    budgets = generator.dirichlet(np.full(assets, 0.5)) + 1e-6

    found = risk_parity(moments, Constraints(long_only(assets).assets, cash=0.25), budgets=budgets)

    assert found.weights.sum() == pytest.approx(0.75, abs=1e-9)
    assert (found.weights > 0).all()
    shares = risk_shares(moments.covariance, found.weights)
    assert shares == pytest.approx(budgets / budgets.sum(), abs=1e-8)


def test_equal_budgets_of_uncorrelated_assets_are_inverse_volatilities() -> None:
    found = risk_parity(given(np.zeros(2), np.diag([0.04, 0.16])), long_only(2))

    assert found.weights == pytest.approx([2 / 3, 1 / 3], abs=1e-12)


def test_budgets_that_are_not_positive_and_limits_are_refused() -> None:
    moments = given(np.zeros(2), np.eye(2))
    with pytest.raises(InvalidProblem, match="positive budget"):
        risk_parity(moments, long_only(2), budgets=[1.0, 0.0])
    with pytest.raises(InvalidProblem, match="would break"):
        risk_parity(moments, Constraints(("A", "B"), upper=0.6))


@pytest.mark.parametrize("assets", [1, 2, 3, 50, 500])
def test_hierarchy_divides_everything(assets: int) -> None:
    generator = np.random.default_rng(assets)
    covariance = np.atleast_2d(np.cov(generator.normal(0, 0.02, (100, assets)), rowvar=False))

    found = hierarchical_risk_parity(covariance, Constraints(long_only(assets).assets, cash=0.1))

    assert found.portfolio.weights.sum() == pytest.approx(0.9, abs=1e-9)
    assert (found.portfolio.weights > 0).all()
    assert sorted(found.order) == list(range(assets))
    assert found.linkage.shape == (assets - 1, 4)
    assert (np.diff(found.linkage[:, 2]) >= 0).all()


def test_identical_assets_are_neighbours_with_equal_weights_in_the_hierarchy() -> None:
    series = np.random.default_rng(8).normal(0, 0.02, (200, 3))
    found = hierarchical_risk_parity(np.cov(series[:, [0, 1, 0, 2]], rowvar=False), long_only(4))

    assert abs(found.order.index(0) - found.order.index(2)) == 1
    assert found.linkage[0, 2] == pytest.approx(0.0, abs=1e-7)


def test_hierarchy_refuses_what_has_no_correlation_and_what_is_not_finite() -> None:
    with pytest.raises(UndefinedRatio, match="numbers 1"):
        hierarchical_risk_parity(np.diag([1.0, 0.0]), long_only(2))
    with pytest.raises(InvalidProblem, match="finite"):
        hierarchical_risk_parity([[1.0, np.nan], [np.nan, 1.0]], long_only(2))


PRIOR = np.array([0.05, 0.08])
COVARIANCE = np.array([[0.04, 0.01], [0.01, 0.09]])


@pytest.mark.parametrize(("confidence", "expected"), [(0.0, 0.05), (0.5, 0.075), (1.0, 0.10)])
def test_idzorek_confidence_moves_a_view_that_share_of_the_way(confidence: float, expected: float) -> None:
    found = bl.posterior(COVARIANCE, PRIOR, bl.Views([[1.0, 0.0]], [0.10], confidences=[confidence]))

    assert found.expected[0] == pytest.approx(expected, abs=1e-12)


def test_both_forms_of_the_posterior_agree() -> None:
    picks, wanted, tau = np.array([[1.0, -1.0], [0.0, 1.0]]), np.array([0.02, 0.10]), 0.05
    found = bl.posterior(COVARIANCE, PRIOR, bl.Views(picks, wanted), tau=tau)

    precision = np.linalg.inv(tau * COVARIANCE)
    certain = np.linalg.inv(np.diag(np.diag(picks @ (tau * COVARIANCE) @ picks.T)))
    inverse = np.linalg.inv(precision + picks.T @ certain @ picks)
    assert found.expected == pytest.approx(
        inverse @ (precision @ PRIOR + picks.T @ certain @ wanted), rel=1e-12
    )
    assert found.covariance == pytest.approx(COVARIANCE + inverse, rel=1e-12)


def test_views_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidProblem, match="between 0 and 1"):
        bl.posterior(COVARIANCE, PRIOR, bl.Views([[1.0, 0.0]], [0.1], confidences=[1.5]))
    with pytest.raises(InvalidProblem, match="certain"):
        bl.posterior(COVARIANCE, PRIOR, bl.Views([[1, 0], [1, 0]], [0.1, 0.2], confidences=[1, 1]))
    with pytest.raises(InvalidProblem, match="finite"):
        bl.posterior(COVARIANCE, PRIOR, bl.Views([[1.0, np.nan]], [0.1]))
