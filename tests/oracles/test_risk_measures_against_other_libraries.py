"""Risk measures and covariances beside empyrical-reloaded, quantstats, scikit-learn and PyPortfolioOpt.

`pip install empyrical-reloaded quantstats skfolio pyportfolioopt`
"""

import numpy as np
import pytest

from alphapulse.domain.risk import covariance, measures, value_at_risk

pytestmark = pytest.mark.filterwarnings("ignore")
SERIES = np.random.default_rng(3).normal(0.001, 0.03, 500)
TABLE = np.random.default_rng(4).normal(0.001, 0.03, (300, 12))


def test_sharpe_volatility_and_beta_equal_empyrical() -> None:
    """Deviations by n - 1, 365 periods, no risk-free rate."""
    empyrical = pytest.importorskip("empyrical", exc_type=ImportError)
    other = np.random.default_rng(5).normal(0, 0.02, 500)

    own = [
        measures.sharpe_ratio(SERIES, periods_per_year=365),
        measures.volatility(SERIES, periods_per_year=365),
        measures.beta(SERIES, other),
        measures.max_drawdown(SERIES),
        measures.sortino_ratio(SERIES, periods_per_year=365),
    ]
    theirs = [
        empyrical.sharpe_ratio(SERIES, annualization=365),
        empyrical.annual_volatility(SERIES, annualization=365),
        empyrical.beta(SERIES, other),
        -empyrical.max_drawdown(SERIES),
        empyrical.sortino_ratio(SERIES, annualization=365),
    ]
    assert own == pytest.approx(theirs, rel=1e-10)


def test_historical_value_at_risk_equals_empyrical() -> None:
    """Its `value_at_risk` is historical, linear between order statistics, negative for a loss."""
    empyrical = pytest.importorskip("empyrical", exc_type=ImportError)

    assert value_at_risk.historical(SERIES).value_at_risk == pytest.approx(
        -empyrical.value_at_risk(SERIES, 0.05), rel=1e-12
    )


def test_normal_value_at_risk_equals_quantstats() -> None:
    """Its `value_at_risk` is the parametric normal one."""
    stats = pytest.importorskip("quantstats.stats", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")

    theirs = stats.value_at_risk(pandas.Series(SERIES), confidence=0.95, prepare_returns=False)
    assert value_at_risk.normal(SERIES).value_at_risk == pytest.approx(-theirs, rel=1e-9)


def test_expected_shortfall_equals_skfolio() -> None:
    """Its CVaR weighs a part of the last observation, as Rockafellar and Uryasev do."""
    skfolio = pytest.importorskip("skfolio.measures", exc_type=ImportError)

    assert value_at_risk.historical(SERIES, level=0.95).expected_shortfall == pytest.approx(
        skfolio.cvar(SERIES, beta=0.95), rel=1e-10
    )


def test_ledoit_wolf_equals_scikit_learn() -> None:
    """Target: identity times the mean variance; sample part divided by n."""
    sklearn = pytest.importorskip("sklearn.covariance", exc_type=ImportError)
    matrix, shrinkage = sklearn.ledoit_wolf(TABLE)
    own = covariance.ledoit_wolf(TABLE)

    assert own.matrix == pytest.approx(matrix, rel=1e-10)
    assert own.shrinkage == pytest.approx(shrinkage, rel=1e-10)


def test_constant_correlation_is_near_pyportfolioopt() -> None:
    """It has the sample by n - 1 where the paper has n, so figures differ in the order of 1 / n."""
    pypfopt = pytest.importorskip("pypfopt", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    shrunk = pypfopt.risk_models.CovarianceShrinkage(pandas.DataFrame(TABLE), returns_data=True, frequency=1)
    theirs = shrunk.ledoit_wolf("constant_correlation").to_numpy()
    own = covariance.ledoit_wolf_constant_correlation(TABLE).matrix

    assert np.abs(own - theirs).max() < 2.0 / len(TABLE) * float(np.diag(own).mean())
