"""Mean-variance: optimal by KKT on random problems with tight bounds, and what cannot be is named."""

import numpy as np
import pytest

from alphapulse.domain.optimize.constraints import Constraints, Group, long_only
from alphapulse.domain.optimize.errors import Infeasible, InvalidProblem, SingularCovariance
from alphapulse.domain.optimize.mean_variance import (
    frontier,
    max_sharpe,
    min_variance,
    target_return,
    target_volatility,
)
from alphapulse.domain.optimize.moments import Moments, estimate, given
from alphapulse.domain.optimize.portfolio import Portfolio
from alphapulse.domain.risk.returns import InvalidReturns


def returns_of(generator: np.random.Generator, assets: int, observations: int = 365) -> np.ndarray:
    factors = generator.normal(0, 0.02, (observations, 3))
    own = generator.normal(0.0005, 0.02, (observations, assets)) * generator.uniform(0.5, 2.0, assets)
    return np.maximum(factors @ generator.uniform(0.2, 1.2, (3, assets)) + own, -0.9)


def problem_of(seed: int) -> tuple[Moments, Constraints]:
    """Make a feasible problem around a point: tight bounds, groups, and for half of them a turnover limit."""
    generator = np.random.default_rng(seed)
    assets = int(generator.integers(2, 25))
    moments = estimate(returns_of(generator, assets), expected=generator.uniform(0.0005, 0.003, assets))
    cash = float(generator.choice([0.0, 0.1]))
    point = generator.dirichlet(np.ones(assets)) * (1.0 - cash)
    room = generator.uniform(0.0, 0.1, (2, assets))
    names = tuple(f"A{i}" for i in range(assets))
    half = names[: assets // 2]
    held = float(point[: len(half)].sum())
    present = generator.dirichlet(np.ones(assets)) * (1.0 - cash)
    return moments, Constraints(
        names,
        lower=np.maximum(point - room[0], 0.0),
        upper=np.minimum(point + room[1], 1.0),
        groups=(Group("half", half, held - 0.02, held + 0.01),),
        cash=cash,
        present=present if seed % 2 else None,
        turnover=float(np.abs(point - present).sum()) + 0.02 if seed % 2 else None,
        cost=0.0001 if seed % 4 == 3 else 0.0,
    )


def require_optimal(found: Portfolio, constraints: Constraints) -> None:
    assert found.residuals is not None
    assert found.residuals.largest < 1e-8
    assert found.weights.sum() == pytest.approx(constraints.invested, abs=1e-9)
    assert (found.weights >= np.asarray(constraints.lower) - 1e-9).all()
    assert (found.weights <= np.asarray(constraints.upper) + 1e-9).all()
    if constraints.turnover is not None:
        assert found.turnover <= constraints.turnover + 1e-9


@pytest.mark.parametrize("seed", range(200))
def test_kkt_holds_on_random_problems_with_tight_bounds(seed: int) -> None:
    moments, constraints = problem_of(seed)

    least = min_variance(moments, constraints)
    best = max_sharpe(moments, constraints)
    middle = (least.expected_return + best.expected_return) / 2.0
    asked = target_return(moments, constraints, at_least=middle)
    risked = target_volatility(moments, constraints, at_most=asked.volatility)

    for found in (least, best, asked, risked):
        require_optimal(found, constraints)
    assert asked.expected_return >= middle - 1e-12
    assert risked.volatility <= asked.volatility * (1.0 + 1e-9)
    assert risked.expected_return == pytest.approx(asked.expected_return, rel=1e-6)
    sharpe = best.expected_return / best.volatility
    assert all(other.expected_return / other.volatility <= sharpe + 1e-9 for other in (least, asked, risked))


@pytest.mark.parametrize("seed", range(20))
def test_no_feasible_portfolio_has_less_variance(seed: int) -> None:
    generator = np.random.default_rng(seed)
    moments = estimate(returns_of(generator, 8))
    found = min_variance(moments, Constraints(tuple("ABCDEFGH"), upper=0.2))

    # A convex function's slope at its minimum is not below zero towards any point, vertices suffice.
    slope = moments.covariance @ found.weights
    lowest = float(np.sort(slope)[:5].sum()) * 0.2
    assert slope @ found.weights == pytest.approx(lowest, rel=1e-9) or slope @ found.weights <= lowest


def test_two_assets_by_hand() -> None:
    moments = given([0.1, 0.2], [[0.04, 0.0], [0.0, 0.16]])

    assert min_variance(moments, long_only(2)).weights == pytest.approx([0.8, 0.2], abs=1e-12)
    assert max_sharpe(moments, long_only(2)).weights == pytest.approx([2 / 3, 1 / 3], abs=1e-12)
    assert target_return(moments, long_only(2), at_least=0.15).weights == pytest.approx([0.5, 0.5])
    assert target_volatility(moments, long_only(2), at_most=np.sqrt(0.05)).weights == pytest.approx(
        [0.5, 0.5]
    )


def test_frontier_rises_from_least_variance_to_largest_return() -> None:
    moments = estimate(returns_of(np.random.default_rng(5), 12))

    found = frontier(moments, long_only(12), points=15)

    assert len(found) == 15
    assert (np.diff([one.expected_return for one in found]) > 0).all()
    assert (np.diff([one.volatility for one in found]) > 0).all()
    assert found[-1].expected_return == pytest.approx(moments.expected.max(), rel=1e-6)


def test_cost_keeps_the_present_weights() -> None:
    moments = given([0.010, 0.011], [[0.04, 0.0], [0.0, 0.04]])
    constraints = Constraints(("A", "B"), present=[0.5, 0.5], cost=0.01)

    found = max_sharpe(moments, constraints)

    assert found.weights == pytest.approx([0.5, 0.5], abs=1e-9)
    assert (found.turnover, found.cost) == pytest.approx((0.0, 0.0), abs=1e-9)


@pytest.mark.parametrize(
    ("constraints", "named"),
    [
        (Constraints(("A", "B"), lower=0.6), ("weights sum to 1", "lower bounds of weights sum to 1.2")),
        (Constraints(("A", "B"), upper=0.4), ("weights sum to 1", "upper bounds of weights sum to 0.8")),
        (Constraints(("A", "B"), lower=[0.5, 0.0], upper=[0.4, 1.0]), ("A at least 0.5 and at most 0.4",)),
        (
            Constraints(("A", "B", "C"), lower=[0.5, 0, 0], groups=(Group("meme", ("A",), at_most=0.3),)),
            ("group meme at most 0.3", "lower bounds of weights sum to 0.5"),
        ),
        (
            Constraints(
                ("A", "B", "C"),
                groups=(Group("one", ("A", "B"), at_least=0.7), Group("two", ("A", "B", "C"), at_most=0.6)),
            ),
            ("weights sum to 1", "group two at most 0.6"),
        ),
        (
            Constraints(("A", "B"), lower=[0.8, 0.0], present=[0.2, 0.8], turnover=0.5),
            ("weights sum to 1", "turnover at most 0.5", "lower bounds of buys and sells sum to 0.6"),
        ),
    ],
    ids=["lower", "upper", "crossed", "group and bound", "group and sum", "turnover"],
)
def test_a_conflict_is_named(constraints: Constraints, named: tuple[str, ...]) -> None:
    count = len(constraints.assets)
    with pytest.raises(Infeasible) as raised:
        min_variance(given(np.full(count, 0.1), np.eye(count)), constraints)

    assert set(raised.value.constraints) <= set(named)
    assert named[-1] in raised.value.constraints


def test_a_return_or_volatility_out_of_reach_tells_what_is_attainable() -> None:
    moments = given([0.1, 0.2], [[0.04, 0.0], [0.0, 0.16]])

    with pytest.raises(Infeasible, match=r"return at least 0.3 \(at most 0.2 attainable\)"):
        target_return(moments, long_only(2), at_least=0.3)
    with pytest.raises(Infeasible, match=r"volatility at most 0.1 \(at least 0.178885 attainable\)"):
        target_volatility(moments, long_only(2), at_most=0.1)
    with pytest.raises(Infeasible, match=r"excess return above 0 \(at most -0.1 attainable\)"):
        max_sharpe(moments, long_only(2), risk_free=0.3)


def test_volatility_above_the_largest_return_takes_the_largest_return() -> None:
    moments = given([0.1, 0.2], [[0.04, 0.0], [0.0, 0.16]])

    assert target_volatility(moments, long_only(2), at_most=2.0).weights == pytest.approx(
        [0.0, 1.0], abs=1e-9
    )


def test_one_asset_takes_everything() -> None:
    moments = estimate(returns_of(np.random.default_rng(1), 1), expected=[0.01])

    for method in (min_variance, max_sharpe):
        assert method(moments, Constraints(("A",), cash=0.2)).weights == pytest.approx([0.8], abs=1e-12)


def test_identical_assets_are_shrunk_and_share_alike() -> None:
    series = returns_of(np.random.default_rng(2), 2)
    moments = estimate(series[:, [0, 0, 1]])

    found = min_variance(moments, long_only(3))

    assert moments.method == "ledoit_wolf"
    assert found.weights[0] == pytest.approx(found.weights[1], abs=1e-9)
    assert "shrunk" in found.notes[0]


def test_correlation_one_of_a_given_covariance_gets_a_stated_ridge() -> None:
    moments = given([0.1, 0.2], [[0.04, 0.08], [0.08, 0.16]])

    found = min_variance(moments, long_only(2))

    assert found.covariance == "given+ridge"
    assert found.ridge == pytest.approx(1e-7)
    assert found.weights == pytest.approx([1.0, 0.0], abs=1e-9)


def test_fewer_observations_than_assets_are_shrunk() -> None:
    moments = estimate(returns_of(np.random.default_rng(3), 60, observations=30))

    found = min_variance(moments, long_only(60))

    assert found.covariance == "ledoit_wolf"
    require_optimal(found, long_only(60))


def test_an_asset_without_variance_takes_all_and_the_result_says_so() -> None:
    found = min_variance(given([0.1, 0.2], [[0.04, 0.0], [0.0, 0.0]]), long_only(2))

    assert found.weights == pytest.approx([0.0, 1.0], abs=1e-5)
    assert "singular" in found.notes[0]


def test_five_hundred_assets() -> None:
    moments = estimate(returns_of(np.random.default_rng(4), 500, observations=1000))
    constraints = Constraints(tuple(map(str, range(500))), upper=0.05)

    for method in (min_variance, max_sharpe):
        require_optimal(method(moments, constraints), constraints)


@pytest.mark.parametrize("assets", [60, 100])
def test_many_assets_with_a_turnover_limit_and_a_cost(assets: int) -> None:
    generator = np.random.default_rng(assets)
    market = generator.normal(0, 0.02, (800, 1))
    moments = estimate(generator.normal(0.0005, 0.02, (800, assets)) + market)
    constraints = Constraints(
        tuple(map(str, range(assets))),
        upper=0.1,
        present=np.full(assets, 1 / assets),
        turnover=0.3,
        cost=0.0001,
    )

    least, best = min_variance(moments, constraints), max_sharpe(moments, constraints)
    middle = (least.expected_return + best.expected_return) / 2.0
    for found in (
        least,
        best,
        target_return(moments, constraints, at_least=middle),
        target_volatility(moments, constraints, at_most=least.volatility * 1.02),
    ):
        require_optimal(found, constraints)


def test_what_is_no_covariance_is_refused() -> None:
    with pytest.raises(SingularCovariance, match="no asset varies"):
        estimate(np.zeros((10, 3)))
    with pytest.raises(SingularCovariance, match="negative eigenvalue"):
        given([0.1, 0.1], [[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(InvalidProblem, match="finite"):
        given([0.1, np.nan], np.eye(2))
    with pytest.raises(InvalidProblem, match="symmetric"):
        given([0.1, 0.1], [[1.0, 0.5], [0.1, 1.0]])
    with pytest.raises(InvalidReturns, match="finite"):
        estimate([[0.1, np.nan], [0.1, 0.2]])
