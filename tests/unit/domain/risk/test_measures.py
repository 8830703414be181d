"""Measures of returns; printed values cite where they come from, the rest is worked out beside them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.risk import measures
from alphapulse.domain.risk.returns import (
    InvalidReturns,
    NotEnoughObservations,
    RiskError,
    UndefinedRatio,
    portfolio_returns,
    simple_returns,
)

EIGHT = [0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10]
SERIES = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60)


@pytest.mark.parametrize(("periods", "expected"), [(252, 1.72386), (365, 2.07467)])
def test_sharpe_ratio_of_the_known_eight_returns(periods: int, expected: float) -> None:
    # The example series of empyrical's own tests; at 252 periods its published value.
    assert measures.sharpe_ratio(EIGHT, periods_per_year=periods) == pytest.approx(expected, abs=5e-6)


def test_risk_free_rate_is_compounded_down_to_a_period() -> None:
    rate = 1.05 ** (1 / 365) - 1
    excess = np.array(EIGHT) - rate

    expected = excess.mean() / excess.std(ddof=1) * math.sqrt(365)

    found = measures.sharpe_ratio(EIGHT, periods_per_year=365, annual_risk_free=0.05)
    assert found == pytest.approx(expected, rel=1e-12)


def test_drawdown_counts_a_loss_in_the_first_period() -> None:
    # 1 -> 0.8 -> 0.88 -> 0.968.
    assert measures.drawdowns([-0.2, 0.1, 0.1]) == pytest.approx([0.2, 0.12, 0.032])
    assert measures.max_drawdown([-0.2, 0.1, 0.1]) == pytest.approx(0.2, abs=1e-15)


def test_losing_everything_is_a_drawdown_of_one() -> None:
    assert measures.max_drawdown([0.5, -1.0, 0.3]) == 1.0
    assert measures.annual_return([0.5, -1.0], periods_per_year=365) == -1.0


def test_ratios_by_hand() -> None:
    returns = [0.1, -0.05]

    # Down 5 % once in two: sqrt(0.0025 / 2); mean 0.025.
    downside = math.sqrt(0.0025 / 2)
    assert measures.sortino_ratio(returns, periods_per_year=4) == pytest.approx(0.025 / downside * 2)
    # 1.1 * 0.95 = 1.045 in half a year.
    assert measures.annual_return(returns, periods_per_year=4) == pytest.approx(1.045**2 - 1)
    assert measures.calmar_ratio(returns, periods_per_year=4) == pytest.approx((1.045**2 - 1) / 0.05)
    assert measures.volatility(returns, periods_per_year=4) == pytest.approx(0.15 / math.sqrt(2) * 2)


def test_beta_is_the_slope_of_a_line_through_the_returns() -> None:
    market = np.random.default_rng(1).normal(0, 0.02, 200)

    assert measures.beta(1.7 * market + 0.001, market) == pytest.approx(1.7, rel=1e-12)
    assert measures.beta(market, market) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("returns", "error", "message"),
    [
        ([], NotEnoughObservations, "needs 2 observations, found 0"),
        ([0.1], NotEnoughObservations, "needs 2 observations, found 1"),
        ([0.1, math.nan], InvalidReturns, "must be finite"),
        ([0.1, math.inf], InvalidReturns, "must be finite"),
        ([0.1, -1.01], InvalidReturns, "cannot be below -1"),
        ([[0.1], [0.2]], InvalidReturns, "1 dimensions"),
        (["x", 0.1], InvalidReturns, "must be numbers"),
        ([0.01, 0.01, 0.01], UndefinedRatio, "do not vary"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(
    returns: list[float], error: type[RiskError], message: str
) -> None:
    with pytest.raises(error, match=message):
        measures.sharpe_ratio(returns, periods_per_year=365)


def test_undefined_ratios_say_so() -> None:
    with pytest.raises(UndefinedRatio, match="below the target"):
        measures.sortino_ratio([0.1, 0.2], periods_per_year=365)
    with pytest.raises(UndefinedRatio, match="no drawdown"):
        measures.calmar_ratio([0.1, 0.2], periods_per_year=365)
    with pytest.raises(UndefinedRatio, match="benchmark does not vary"):
        measures.beta([0.1, 0.2], [0.05, 0.05])
    with pytest.raises(InvalidReturns, match="compared"):
        measures.beta([0.1, 0.2], [0.05, 0.05, 0.1])
    for periods in (0.0, -1.0, math.nan):
        with pytest.raises(RiskError, match="periods_per_year"):
            measures.volatility(EIGHT, periods_per_year=periods)
    with pytest.raises(InvalidReturns, match="above -1"):
        measures.per_period(-1.0, 365)


@given(SERIES)
def test_drawdown_is_within_zero_and_one(returns: list[float]) -> None:
    found = measures.drawdowns(returns)

    assert (found >= 0.0).all()
    assert (found <= 1.0).all()


@given(SERIES, st.floats(0.01, 2.0))
def test_ratio_is_not_changed_by_leverage(returns: list[float], leverage: float) -> None:
    series = np.array(returns)
    if series.std(ddof=1) < 1e-6:
        return

    own = measures.sharpe_ratio(series, periods_per_year=365)
    other = measures.sharpe_ratio(np.clip(series, -0.49, 0.5) * leverage, periods_per_year=365)

    if (series >= -0.49).all():
        assert other == pytest.approx(own, rel=1e-6, abs=1e-9)


def test_returns_of_prices_and_portfolios() -> None:
    prices = [[100.0, 10.0], [110.0, 9.0], [99.0, 9.9]]

    returns = simple_returns(prices)

    assert returns == pytest.approx(np.array([[0.1, -0.1], [-0.1, 0.1]]))
    # Half in the first asset, the other half in cash.
    assert portfolio_returns(returns, [0.5, 0.0]) == pytest.approx([0.05, -0.05])
    for bad in ([1.0], [1.0, 0.0], [1.0, math.nan], [[[1.0]]]):
        with pytest.raises(InvalidReturns):
            simple_returns(bad)
    with pytest.raises(InvalidReturns, match="one weight for each of 2"):
        portfolio_returns(returns, [1.0])
