"""Portfolios whose assets carry given shares of the risk.

References
----------
.. [1] F. Spinu, "An Algorithm for Computing Risk Parity Weights", SSRN 2297383, 2013.
.. [2] S. Maillard, T. Roncalli and J. Teiletche, "The Properties of Equally Weighted Risk Contribution
   Portfolios", Journal of Portfolio Management 36(4), 2010.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize.constraints import Constraints
from alphapulse.domain.optimize.errors import InvalidProblem, NotConverged
from alphapulse.domain.optimize.kkt import KKTResiduals
from alphapulse.domain.optimize.moments import Moments
from alphapulse.domain.optimize.portfolio import Portfolio, portfolio

_STEPS: Final = 200
_CLOSE: Final = 1e-13
_ENOUGH: Final = 1e-8


def risk_parity(moments: Moments, constraints: Constraints, *, budgets: ArrayLike | None = None) -> Portfolio:
    """Return the long-only weights whose shares of the variance are the budgets.

    Minimises ``x' C x / 2 - sum(b * log x)``, C the correlation, by Newton's damped steps [1]_; the optimum
    divided by volatilities and by its sum is the portfolio, and the only one.

    Parameters
    ----------
    moments : Moments
    constraints : Constraints
        Assets, cash and, for what is told of cost, the present weights. Other limits are refused, since
        they would break the budgets.
    budgets : array_like of float, shape (n_assets,), optional
        Positive; divided by their sum. Equal where not given [2]_.

    Raises
    ------
    InvalidProblem
        A budget is not positive, or there are limits.
    NotConverged
        The budgets could not be met to 1e-8.
    """
    assets = len(moments.expected)
    wanted = _budgets(budgets, assets)
    _require_free(constraints, assets)
    deviations = np.sqrt(np.diag(moments.covariance))
    correlation = moments.covariance / np.outer(deviations, deviations)
    scaled = _newton(correlation, wanted)
    raw = scaled / deviations
    weights = constraints.invested * raw / float(raw.sum())
    off = float(np.abs(risk_shares(moments.covariance, weights) - wanted).max())
    if off > _ENOUGH:
        raise NotConverged(f"the shares of the risk are off their budgets by {off:.3g}")
    primal = abs(float(weights.sum()) - constraints.invested)
    residuals = KKTResiduals(off, primal, 0.0)
    return portfolio(weights, moments, constraints, method="risk_parity", residuals=residuals)


def risk_shares(covariance: FloatArray, weights: FloatArray) -> FloatArray:
    """Return each asset's share of the variance, ``w_i (S w)_i / w' S w``, shape (n_assets,)."""
    products = weights * (covariance @ weights)
    return np.asarray(products / float(products.sum()))


def _budgets(budgets: ArrayLike | None, assets: int) -> FloatArray:
    found = np.ones(assets) if budgets is None else np.asarray(budgets, dtype=np.float64)
    if found.shape != (assets,) or not (np.isfinite(found) & (found > 0.0)).all():
        raise InvalidProblem(f"needs one positive budget of risk for each of {assets} assets")
    return np.asarray(found / found.sum())


def _require_free(constraints: Constraints, assets: int) -> None:
    if len(constraints.assets) != assets:
        raise InvalidProblem(f"constraints of {len(constraints.assets)} assets do not fit {assets}")
    bound = (np.asarray(constraints.lower) > 0.0).any() or (np.asarray(constraints.upper) < 1.0).any()
    if bound or constraints.groups or constraints.turnover is not None:
        raise InvalidProblem("bounds, groups and a turnover limit would break the shares of the risk")


def _newton(correlation: FloatArray, budgets: FloatArray) -> FloatArray:
    # Spinu's start: exact where all correlations are equal.
    x = np.sqrt(budgets) / math.sqrt(max(float(correlation.sum()), _ENOUGH)) * math.sqrt(len(budgets))
    for _ in range(_STEPS):
        slope = correlation @ x - budgets / x
        hessian = correlation.copy()
        hessian.flat[:: len(x) + 1] += budgets / x**2
        step = np.linalg.solve(hessian, slope)
        relative = float(np.abs(step / x).max())
        # Damped where the step would leave the region in which Newton's steps converge quadratically.
        x = x - (step if relative < 0.5 else step / (1.0 + relative))  # noqa: PLR2004
        if relative < _CLOSE:
            break
    return np.asarray(x)
