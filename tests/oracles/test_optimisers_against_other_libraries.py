"""Optimisers beside PyPortfolioOpt, skfolio and riskfolio-lib, where these are installed.

`pip install pyportfolioopt skfolio riskfolio-lib`
"""

import warnings

import numpy as np
import pytest

from alphapulse.domain.optimize import black_litterman, hrp
from alphapulse.domain.optimize.constraints import Constraints
from alphapulse.domain.optimize.mean_variance import (
    max_sharpe,
    min_variance,
    target_return,
    target_volatility,
)
from alphapulse.domain.optimize.moments import estimate
from alphapulse.domain.optimize.risk_parity import risk_parity

pytestmark = pytest.mark.filterwarnings("ignore")
ASSETS = 20
NAMES = tuple(f"A{i}" for i in range(ASSETS))
CAP = 0.2


def _returns() -> np.ndarray:
    generator = np.random.default_rng(11)
    factors = generator.normal(0, 0.02, (365, 3))
    own = generator.normal(0.0008, 0.02, (365, ASSETS)) * generator.uniform(0.5, 2.0, ASSETS)
    return factors @ generator.uniform(0.2, 1.2, (3, ASSETS)) + own


RETURNS = _returns()
MOMENTS = estimate(RETURNS)
CONSTRAINTS = Constraints(NAMES, upper=CAP)


@pytest.mark.parametrize("form", ["min_variance", "max_sharpe", "target_return", "target_volatility"])
def test_mean_variance_of_sample_moments_equals_pyportfolioopt(form: str) -> None:
    """The same programme on the same moments; its solvers stop earlier, hence the tolerance."""
    ef = pytest.importorskip("pypfopt", exc_type=ImportError).EfficientFrontier
    peer = ef(MOMENTS.expected, MOMENTS.covariance, weight_bounds=(0, CAP), solver="CLARABEL")
    middle = float(np.sort(MOMENTS.expected)[-8:].mean())
    risk = min_variance(MOMENTS, CONSTRAINTS).volatility * 1.2
    if form == "min_variance":
        own, theirs = min_variance(MOMENTS, CONSTRAINTS), peer.min_volatility()
    elif form == "max_sharpe":
        own, theirs = max_sharpe(MOMENTS, CONSTRAINTS), peer.max_sharpe(risk_free_rate=0.0)
    elif form == "target_return":
        own, theirs = target_return(MOMENTS, CONSTRAINTS, at_least=middle), peer.efficient_return(middle)
    else:
        own, theirs = target_volatility(MOMENTS, CONSTRAINTS, at_most=risk), peer.efficient_risk(risk)

    assert own.weights == pytest.approx(np.array(list(theirs.values())), abs=2e-3)
    _require_no_worse(own.weights, np.array(list(theirs.values())), form)


@pytest.mark.parametrize("form", ["MINIMIZE_RISK", "MAXIMIZE_RATIO"])
def test_mean_variance_of_sample_moments_equals_skfolio(form: str) -> None:
    """The empirical prior of skfolio: means and covariance with n - 1."""
    optimization = pytest.importorskip("skfolio.optimization", exc_type=ImportError)
    model = optimization.MeanRisk(
        objective_function=getattr(optimization.ObjectiveFunction, form), max_weights=CAP
    )
    theirs = np.asarray(model.fit(RETURNS).weights_)
    method = min_variance if form == "MINIMIZE_RISK" else max_sharpe

    assert method(MOMENTS, CONSTRAINTS).weights == pytest.approx(theirs, abs=2e-3)


def test_equal_risk_parity_equals_skfolio() -> None:
    """Equal shares of the variance, long-only."""
    optimization = pytest.importorskip("skfolio.optimization", exc_type=ImportError)
    theirs = np.asarray(optimization.RiskBudgeting().fit(RETURNS).weights_)

    assert risk_parity(MOMENTS, Constraints(NAMES)).weights == pytest.approx(theirs, abs=1e-4)


def test_equal_risk_parity_equals_riskfolio() -> None:
    """Its `rp_optimization` with the standard deviation, whose shares are those of the variance."""
    riskfolio = pytest.importorskip("riskfolio", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    peer = riskfolio.Portfolio(returns=pandas.DataFrame(RETURNS, columns=list(NAMES)))
    peer.assets_stats(method_mu="hist", method_cov="hist")
    theirs = peer.rp_optimization(model="Classic", rm="MV", b=None)["weights"].to_numpy()

    assert risk_parity(MOMENTS, Constraints(NAMES)).weights == pytest.approx(theirs, abs=1e-3)


def test_linkage_and_order_equal_scipy() -> None:
    """Single linkage of the columns of the correlation distances, as the paper calls scipy."""
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy", exc_type=ImportError)
    found = hrp.hierarchical_risk_parity(MOMENTS.covariance, Constraints(NAMES))
    correlation = np.corrcoef(RETURNS, rowvar=False)
    np.fill_diagonal(correlation, 1.0)  # a rounding below 1 would be a distance of 1e-8 to itself
    distances = np.sqrt(np.maximum((1.0 - correlation) / 2.0, 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = hierarchy.linkage(distances, "single")

    assert found.linkage == pytest.approx(theirs, abs=1e-9)
    assert list(found.order) == hierarchy.leaves_list(theirs).tolist()


def test_bisection_equals_pyportfolioopt_on_its_own_order() -> None:
    """Its linkage links distances, not distances of distances; its bisection is the same."""
    pypfopt = pytest.importorskip("pypfopt", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(RETURNS, columns=list(NAMES))
    peer = pypfopt.HRPOpt(frame)
    theirs = peer.optimize(linkage_method="single")
    order = list(pypfopt.HRPOpt._get_quasi_diag(peer.clusters))
    own = np.empty(ASSETS)
    own[order] = hrp.bisect(MOMENTS.covariance[np.ix_(order, order)])

    assert own == pytest.approx([theirs[name] for name in NAMES], rel=1e-9)


def test_black_litterman_equals_pyportfolioopt() -> None:
    """Default Omega, tau 0.05; its covariance is prior plus posterior uncertainty too."""
    pypfopt = pytest.importorskip("pypfopt", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    covariance = pandas.DataFrame(MOMENTS.covariance, index=list(NAMES), columns=list(NAMES))
    picks, wanted = np.zeros((2, ASSETS)), np.array([0.002, 0.001])
    picks[0, 0], picks[1, 1], picks[1, 2] = 1.0, 1.0, -1.0
    prior = black_litterman.equilibrium_returns(
        MOMENTS.covariance, np.full(ASSETS, 1 / ASSETS), risk_aversion=2.5
    )
    peer = pypfopt.BlackLittermanModel(covariance, pi=prior, P=picks, Q=wanted, tau=0.05)
    own = black_litterman.posterior(MOMENTS.covariance, prior, black_litterman.Views(picks, wanted), tau=0.05)

    assert own.expected == pytest.approx(peer.bl_returns().to_numpy(), rel=1e-9)
    assert own.covariance == pytest.approx(peer.bl_cov().to_numpy(), rel=1e-9)


def _require_no_worse(own: np.ndarray, theirs: np.ndarray, form: str) -> None:
    risks = [float(np.sqrt(w @ MOMENTS.covariance @ w)) for w in (own, theirs)]
    gains = [float(MOMENTS.expected @ w) for w in (own, theirs)]
    if form == "max_sharpe":
        assert gains[0] / risks[0] >= gains[1] / risks[1] - 1e-6
    elif form == "target_volatility":
        assert gains[0] >= gains[1] - 1e-6
    else:
        assert risks[0] <= risks[1] + 1e-6
