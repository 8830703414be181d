"""Mean-variance portfolios in four forms, and the frontier.

Costs are taken from the expected return, so they matter where a return is asked for. Every form ends as
the quadratic programme ``min variance / 2 - t * expected return`` at some risk tolerance t, whose KKT
residuals the result tells.

References
----------
.. [1] H. Markowitz, "Portfolio Selection", Journal of Finance 7(1), 1952.
.. [2] G. Cornuejols and R. Tutuncu, "Optimization Methods in Finance", 2006, section 8.2 (maximum Sharpe
   ratio as a quadratic programme in homogeneous variables).
"""

import math
from dataclasses import replace
from typing import Final

import numpy as np

from alphapulse.domain.optimize import quadratic
from alphapulse.domain.optimize.constraints import Constraints
from alphapulse.domain.optimize.errors import Infeasible, InvalidProblem, NotConverged
from alphapulse.domain.optimize.kkt import KKTResiduals
from alphapulse.domain.optimize.moments import Moments
from alphapulse.domain.optimize.portfolio import Portfolio, portfolio
from alphapulse.domain.optimize.programme import Programme, at_tolerance, programme, solved
from alphapulse.domain.optimize.tangent import homogeneous_optimum, settled

_ENOUGH: Final = 1e-9
_STEPS: Final = 200
_CLOSE: Final = 1e-12
_PRECISION: Final = 1e-11
_FAR: Final = 100.0
# Of the largest expected return of an asset.
_ROUNDING: Final = 1e-8
_LARGEST_RESIDUAL: Final = 1e-6


def min_variance(moments: Moments, constraints: Constraints) -> Portfolio:
    """Return the portfolio of least variance [1]_.

    Raises
    ------
    Infeasible
        Constraints contradict each other.
    """
    problem = programme(moments, constraints)
    return _result(problem, at_tolerance(problem, 0.0), moments, constraints, method="min_variance")


def max_sharpe(moments: Moments, constraints: Constraints, *, risk_free: float = 0.0) -> Portfolio:
    """Return the portfolio of the largest expected excess return per volatility [2]_.

    Parameters
    ----------
    moments : Moments
    constraints : Constraints
        Cash in it earns `risk_free`.
    risk_free : float
        Rate of one period.

    Raises
    ------
    Infeasible
        Constraints contradict each other, or none of their portfolios earns more than `risk_free`.
    """
    problem = programme(moments, constraints, rate=risk_free)
    try:
        x = homogeneous_optimum(problem, constraints.invested)
    except Infeasible:
        best = problem.expected(quadratic.most(problem.gain, problem.polytope).x)
        if best > _CLOSE:
            raise
        raise Infeasible((f"excess return above 0 (at most {best:.6g} attainable)",)) from None
    solution = settled(problem, x)
    return _result(problem, solution, moments, constraints, method="max_sharpe")


def target_return(moments: Moments, constraints: Constraints, *, at_least: float) -> Portfolio:
    """Return the portfolio of least variance with an expected return, after costs, of at least a target.

    Raises
    ------
    Infeasible
        Constraints contradict each other, or the return is not attainable; tells what is.
    """
    problem = programme(moments, constraints)
    if not math.isfinite(at_least):
        raise InvalidProblem(f"the target return must be finite, was {at_least}")
    limited = _with_return(problem, at_least)
    try:
        solution = solved(limited, limited.linear)
    except Infeasible:
        limited, solution = problem, quadratic.most(problem.gain, problem.polytope)
        best = problem.expected(solution.x)
        # Next to the largest return the solver cannot tell feasible from infeasible.
        if abs(at_least - best) > _ROUNDING * problem.gain_scale:
            if at_least < best:
                raise
            reason = f"return at least {at_least:.6g} (at most {best:.6g} attainable)"
            raise Infeasible((reason,)) from None
    return _result(limited, solution, moments, constraints, method="target_return")


def target_volatility(moments: Moments, constraints: Constraints, *, at_most: float) -> Portfolio:
    """Return the portfolio of the largest expected return, after costs, up to a volatility.

    Raises
    ------
    Infeasible
        Constraints contradict each other, or every portfolio has a higher volatility; tells the lowest.
    """
    problem = programme(moments, constraints)
    if not (math.isfinite(at_most) and at_most > 0.0):
        raise InvalidProblem(f"the target volatility must be positive, was {at_most}")
    wanted = at_most**2 / problem.scale
    least = at_tolerance(problem, 0.0)
    if problem.variance(least.x) > wanted * (1.0 + _ENOUGH):
        lowest = math.sqrt(problem.variance(least.x) * problem.scale)
        raise Infeasible((f"volatility at most {at_most:.6g} (at least {lowest:.6g} attainable)",))
    top = quadratic.most(problem.gain, problem.polytope)
    if problem.variance(top.x) <= wanted:
        return _result(problem, top, moments, constraints, method="target_volatility")
    found = _at_variance(problem, wanted, least)
    return _result(problem, found, moments, constraints, method="target_volatility")


def frontier(moments: Moments, constraints: Constraints, *, points: int = 20) -> tuple[Portfolio, ...]:
    """Return efficient portfolios from the least variance to the largest return, evenly spaced in return.

    Parameters
    ----------
    moments : Moments
    constraints : Constraints
    points : int
        At least 2.
    """
    if points < 2:  # noqa: PLR2004 - a line has two ends
        raise InvalidProblem(f"a frontier needs at least 2 points, was {points}")
    problem = programme(moments, constraints)
    first = min_variance(moments, constraints)
    best = problem.expected(quadratic.most(problem.gain, problem.polytope).x)
    returns = np.linspace(first.expected_return, max(best, first.expected_return), points)
    rest = (target_return(moments, constraints, at_least=float(value)) for value in returns[1:])
    return (first, *rest)


def _with_return(problem: Programme, at_least: float) -> Programme:
    held = problem.polytope
    polytope = replace(
        held,
        rows=np.vstack([held.rows, problem.gain]),
        row_lower=np.append(held.row_lower, (at_least - problem.gain_at_zero) / problem.gain_scale),
        row_upper=np.append(held.row_upper, np.inf),
        names=(*held.names, f"return at least {at_least:.6g}"),
    )
    return replace(problem, polytope=polytope)


def _at_variance(problem: Programme, wanted: float, least: quadratic.Solution) -> quadratic.Solution:
    """Find the risk tolerance whose optimum has a variance.

    While the same constraints are active, the optimum is linear in the tolerance and its variance quadratic,
    so each step solves for the tolerance on the present piece; it halves the bracket where that leaves it.
    """
    low, high, tolerance, found = 0.0, math.inf, 0.0, least
    for _ in range(_STEPS):
        surplus = problem.variance(found.x) - wanted
        if abs(surplus) <= _PRECISION * wanted or high - low <= _CLOSE * low:
            return found
        if surplus > 0.0:
            high = min(high, tolerance)
        else:
            low = max(low, tolerance)
        tolerance = _next_tolerance(problem, found, tolerance, surplus)
        # A piece on which nothing moves has no end of its own.
        if not low < tolerance < min(high, _FAR * max(low, 1.0)):
            tolerance = (low + high) / 2.0 if math.isfinite(high) else 4.0 * max(low, 0.01)
        if low > 1.0 / _CLOSE:
            return found
        found = at_tolerance(problem, tolerance)
    raise NotConverged(f"no portfolio of a variance of {wanted * problem.scale:.6g} was found")


def _next_tolerance(problem: Programme, found: quadratic.Solution, tolerance: float, surplus: float) -> float:
    along = quadratic.direction(problem.hessian, problem.gain, problem.polytope, found)
    square = float(along @ problem.hessian @ along)
    slope = float((problem.hessian @ found.x + problem.linear) @ along)
    root = slope**2 - square * surplus
    if square <= 0.0 or root < 0.0:
        return math.nan
    return tolerance + (math.sqrt(root) - slope) / square


def _result(
    problem: Programme,
    solution: quadratic.Solution,
    moments: Moments,
    constraints: Constraints,
    *,
    method: str,
) -> Portfolio:
    residuals: KKTResiduals = solution.residuals
    if residuals.largest > _LARGEST_RESIDUAL:
        raise NotConverged(f"{method}: a KKT residual of {residuals.largest:.3g} is no optimum")
    weights = problem.weights(solution.x)
    return portfolio(weights, moments, constraints, method=method, residuals=residuals)
