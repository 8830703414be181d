"""Tails: by hand, against their definitions, and the inequalities that must hold."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.risk import value_at_risk as tails
from alphapulse.domain.risk.returns import (
    InvalidLevel,
    InvalidReturns,
    NotEnoughObservations,
    RiskError,
    portfolio_returns,
)

SERIES = st.lists(st.floats(-0.9, 0.9), min_size=4, max_size=80)
LEVELS = st.floats(0.5, 0.995)


def two_assets(count: int = 400, seed: int = 3) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.multivariate_normal([0.001, 0.0005], [[4e-4, 1e-4], [1e-4, 9e-4]], size=count)


def test_historical_tail_by_hand() -> None:
    returns = [-0.10, -0.05, -0.02, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06]

    found = tails.historical(returns, level=0.85)

    # The 15 % quantile lies 1.35 of the way along the nine gaps: -0.05 + 0.35 * 0.03.
    assert found.value_at_risk == pytest.approx(0.0395)
    # One and a half of ten observations: (0.10 + 0.5 * 0.05) / 1.5.
    assert found.expected_shortfall == pytest.approx(0.125 / 1.5)
    assert (found.method, found.observations, found.level) == ("historical", 10, 0.85)


def test_normal_tail_by_its_formulas() -> None:
    returns = [0.03, -0.01, 0.02, -0.02]
    mean, deviation = float(np.mean(returns)), float(np.std(returns, ddof=1))
    z = NormalDist().inv_cdf(0.01)

    found = tails.normal(returns, level=0.99)

    assert found.value_at_risk == pytest.approx(-(mean + z * deviation), rel=1e-12)
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    assert found.expected_shortfall == pytest.approx(-mean + deviation * density / 0.01, rel=1e-12)


def test_cornish_fisher_is_the_mean_of_its_quantiles_over_the_tail() -> None:
    returns = np.random.default_rng(8).standard_t(12, 2000) * 0.02
    mean, deviation = returns.mean(), returns.std(ddof=1)
    centred = (returns - mean) / returns.std()
    skew, excess = (centred**3).mean(), (centred**4).mean() - 3
    probabilities = (np.arange(200_000) + 0.5) / 200_000 * 0.05
    z = np.array([NormalDist().inv_cdf(p) for p in probabilities[::20]])
    corrected = z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24
    corrected -= (2 * z**3 - 5 * z) * skew**2 / 36

    found = tails.cornish_fisher(returns, level=0.95)

    assert found.expected_shortfall == pytest.approx(-(mean + deviation * corrected.mean()), rel=2e-3)
    assert found.value_at_risk == pytest.approx(-(mean + deviation * corrected[-1]), rel=1e-3)


def test_cornish_fisher_refuses_moments_that_are_no_distribution() -> None:
    with pytest.raises(tails.OutsideDomain, match="skewness"):
        tails.cornish_fisher([0.0] * 50 + [-0.9])


def test_monte_carlo_agrees_with_the_normal_tail_and_repeats_itself() -> None:
    returns, weights = two_assets(), [0.6, 0.4]
    exact = tails.normal(portfolio_returns(returns, weights))

    found = tails.monte_carlo(returns, weights, generator=np.random.default_rng(4))

    assert found.value_at_risk == pytest.approx(exact.value_at_risk, rel=0.02)
    assert found.expected_shortfall == pytest.approx(exact.expected_shortfall, rel=0.02)
    assert found == tails.monte_carlo(returns, weights, generator=np.random.default_rng(4))


def test_monte_carlo_over_ten_days_grows_with_the_root_of_time() -> None:
    returns = two_assets() - two_assets().mean(axis=0)

    day = tails.monte_carlo(returns, [0.5, 0.5], generator=np.random.default_rng(4))
    ten = tails.monte_carlo(returns, [0.5, 0.5], generator=np.random.default_rng(4), periods=10)

    assert ten.value_at_risk == pytest.approx(day.value_at_risk * math.sqrt(10), rel=0.08)


def test_monte_carlo_takes_a_singular_covariance() -> None:
    one = two_assets()[:, :1]

    found = tails.monte_carlo(np.hstack([one, one]), [0.5, 0.5], generator=np.random.default_rng(2))

    assert found.value_at_risk == pytest.approx(tails.normal(one[:, 0]).value_at_risk, rel=0.02)


@pytest.mark.parametrize("weights", [[0.6, 0.4], [1.5, -0.5], [0.0, 1.0]])
def test_components_sum_to_the_whole(weights: list[float]) -> None:
    returns = two_assets()
    whole = portfolio_returns(returns, weights)

    parts = tails.component_value_at_risk(returns, weights)
    short = tails.component_expected_shortfall(returns, weights)

    assert parts.sum() == pytest.approx(tails.normal(whole).value_at_risk, rel=1e-12)
    assert short.sum() == pytest.approx(tails.historical(whole).expected_shortfall, rel=1e-12)


def test_a_hedge_lowers_the_whole() -> None:
    market = two_assets()[:, 0]
    parts = tails.component_value_at_risk(np.column_stack([market, -market]), [0.8, 0.2])

    assert parts[0] > 0 > parts[1]


@given(SERIES, LEVELS)
def test_var_is_never_above_cvar(returns: list[float], level: float) -> None:
    historical, normal = tails.historical(returns, level=level), tails.normal(returns, level=level)

    assert historical.value_at_risk <= historical.expected_shortfall
    assert normal.value_at_risk <= normal.expected_shortfall + 1e-15
    try:
        corrected = tails.cornish_fisher(returns, level=level)
    except tails.OutsideDomain:
        return
    assert corrected.value_at_risk <= corrected.expected_shortfall + 1e-12


@given(SERIES)
def test_var_rises_with_the_level(returns: list[float]) -> None:
    found = [tails.historical(returns, level=level) for level in (0.8, 0.9, 0.95, 0.99)]

    assert [tail.value_at_risk for tail in found] == sorted(tail.value_at_risk for tail in found)
    shortfalls = [tail.expected_shortfall for tail in found]
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(shortfalls))


def test_returns_that_do_not_vary_have_the_same_tail_in_every_way() -> None:
    still = [0.01] * 10

    for tail in (tails.historical(still), tails.normal(still), tails.cornish_fisher(still)):
        assert tail.value_at_risk == pytest.approx(-0.01, abs=1e-15)
        assert tail.expected_shortfall == pytest.approx(-0.01, abs=1e-15)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 1.5, math.nan])
def test_levels_outside_their_range_are_refused(level: float) -> None:
    with pytest.raises(InvalidLevel, match="between 0 and 1"):
        tails.historical([0.1, -0.1], level=level)


def test_bad_input_is_refused() -> None:
    generator = np.random.default_rng(1)
    with pytest.raises(NotEnoughObservations, match="needs 1 observations, found 0"):
        tails.historical([])
    with pytest.raises(InvalidReturns, match="finite"):
        tails.normal([0.1, math.nan])
    with pytest.raises(RiskError, match="100 draws"):
        tails.monte_carlo(two_assets(), [0.5, 0.5], generator=generator, draws=10)
    with pytest.raises(RiskError, match="1 period"):
        tails.monte_carlo(two_assets(), [0.5, 0.5], generator=generator, periods=0)
    with pytest.raises(InvalidReturns, match="weights must be finite"):
        tails.component_value_at_risk(two_assets(), [0.5, math.nan])
