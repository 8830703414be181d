"""Optimisers against the tables their authors printed."""

import random

import numpy as np
import pytest

from alphapulse.domain.optimize import black_litterman, hrp
from alphapulse.domain.optimize.constraints import long_only
from alphapulse.domain.optimize.moments import given
from alphapulse.domain.optimize.risk_parity import risk_parity, risk_shares

VOLATILITIES = np.array([0.160, 0.203, 0.248, 0.271, 0.210, 0.200, 0.187])
MARKET = np.array([0.016, 0.022, 0.052, 0.055, 0.116, 0.124, 0.615])
CORRELATIONS = (
    (0.488, 0.478, 0.515, 0.439, 0.512, 0.491),
    (0.664, 0.655, 0.310, 0.608, 0.779),
    (0.861, 0.355, 0.783, 0.668),
    (0.354, 0.777, 0.653),
    (0.405, 0.306),
    (0.652,),
)
GERMANY_OVER_EUROPE = (0.0, 0.0, -0.295, 1.0, 0.0, -0.705, 0.0)
CANADA_OVER_UNITED_STATES = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture
def covariance() -> np.ndarray:
    correlation = np.eye(7)
    for row, values in enumerate(CORRELATIONS):
        correlation[row, row + 1 :] = correlation[row + 1 :, row] = values
    return correlation * np.outer(VOLATILITIES, VOLATILITIES)


def percent(values: np.ndarray) -> list[float]:
    return [round(float(value), 1) for value in values * 100.0]


def test_he_and_litterman_equilibrium(covariance: np.ndarray) -> None:
    found = black_litterman.equilibrium_returns(covariance, MARKET, risk_aversion=2.5)

    assert percent(found) == [3.9, 6.9, 8.4, 9.0, 4.3, 6.8, 7.6]


def test_he_and_litterman_one_view(covariance: np.ndarray) -> None:
    prior = black_litterman.equilibrium_returns(covariance, MARKET, risk_aversion=2.5)
    views = black_litterman.Views([GERMANY_OVER_EUROPE], [0.05])

    found = black_litterman.posterior(covariance, prior, views, tau=0.05)

    assert percent(found.expected) == [4.3, 7.6, 9.3, 11.0, 4.5, 7.0, 8.1]
    weights = black_litterman.unconstrained_weights(found, risk_aversion=2.5)
    assert percent(weights) == [1.5, 2.1, -3.9, 35.4, 11.0, -9.5, 58.6]


def test_he_and_litterman_two_views(covariance: np.ndarray) -> None:
    prior = black_litterman.equilibrium_returns(covariance, MARKET, risk_aversion=2.5)
    views = black_litterman.Views([GERMANY_OVER_EUROPE, CANADA_OVER_UNITED_STATES], [0.05, 0.03])

    found = black_litterman.posterior(covariance, prior, views, tau=0.05)

    assert percent(found.expected) == [4.4, 8.7, 9.5, 11.2, 4.6, 7.0, 7.5]


def test_lopez_de_prado_ten_assets() -> None:
    np.random.seed(12345)  # noqa: NPY002 - the paper's generator
    random.seed(12345)
    independent = np.random.normal(0, 1, size=(10000, 5))  # noqa: NPY002
    columns = [int(random.random() * 5) for _ in range(5)]
    noise = np.random.normal(0, 0.25, size=(10000, len(columns)))  # noqa: NPY002
    returns = np.append(independent, independent[:, columns] + noise, axis=1)

    found = hrp.hierarchical_risk_parity(np.cov(returns, rowvar=False), long_only(10))

    assert [number + 1 for number in found.order] == [9, 2, 10, 1, 7, 3, 6, 4, 5, 8]
    printed = [7.00, 7.59, 10.84, 19.03, 9.72, 10.19, 6.62, 9.10, 7.12, 12.79]
    assert [round(float(weight) * 100, 2) for weight in found.portfolio.weights] == printed


def test_spinu_three_assets() -> None:
    covariance = np.array([[1.0, 0.0015, -0.0119], [0.0015, 1.0, -0.0308], [-0.0119, -0.0308, 1.0]])
    budgets = np.array([0.1594, 0.0126, 0.8280])

    found = risk_parity(given(np.zeros(3), covariance), long_only(3), budgets=budgets)

    assert [round(float(weight), 7) for weight in found.weights] == [0.2798628, 0.0877491, 0.6323881]
    assert risk_shares(covariance, found.weights) == pytest.approx(budgets, abs=1e-8)
