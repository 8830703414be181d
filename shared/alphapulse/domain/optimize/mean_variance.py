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

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize import quadratic
from alphapulse.domain.optimize.constraints import Constraints
from alphapulse.domain.optimize.errors import Infeasible, InvalidProblem, NotConverged
from alphapulse.domain.optimize.kkt import KKTResiduals, Polytope
from alphapulse.domain.optimize.moments import Moments
from alphapulse.domain.optimize.portfolio import Portfolio, portfolio
from alphapulse.domain.optimize.programme import Programme, programme

_ENOUGH: Final = 1e-9
_STEPS: Final = 200
_CLOSE: Final = 1e-12
_PRECISION: Final = 1e-11
_FAR: Final = 100.0
_ROUNDING: Final = 1e-10


def min_variance(moments: Moments, constraints: Constraints) -> Portfolio:
    """Return the portfolio of least variance [1]_.

    Raises
    ------
    Infeasible
        Constraints contradict each other.
    """
    problem = programme(moments, constraints)
    return _result(problem, _at(problem, 0.0), moments, constraints, method="min_variance")


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
        x = _tangent(problem, constraints.invested)
    except Infeasible:
        best = problem.expected(quadratic.most(problem.gain, problem.polytope))
        if best > _CLOSE:
            raise
        raise Infeasible((f"excess return above 0 (at most {best:.6g} attainable)",)) from None
    solution = _settled(problem, x)
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
        solution = _solved(limited, limited.linear)
    except Infeasible:
        best = problem.expected(quadratic.most(problem.gain, problem.polytope))
        raise Infeasible((f"return at least {at_least:.6g} (at most {best:.6g} attainable)",)) from None
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
    least = _at(problem, 0.0)
    if problem.variance(least.x) > wanted * (1.0 + _ENOUGH):
        lowest = math.sqrt(problem.variance(least.x) * problem.scale)
        raise Infeasible((f"volatility at most {at_most:.6g} (at least {lowest:.6g} attainable)",))
    top = quadratic.most(problem.gain, problem.polytope)
    if problem.variance(top) <= wanted:
        span = problem.expected(top) - problem.expected(least.x)
        # A rounding below what is attainable at all; of several such portfolios the one of least variance.
        limited = _with_return(problem, problem.expected(top) - _ROUNDING * max(span, 0.0))
        solution = _solved(limited, limited.linear)
        return _result(limited, solution, moments, constraints, method="target_volatility")
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
    best = problem.expected(quadratic.most(problem.gain, problem.polytope))
    span = best - first.expected_return
    # The last point stays a rounding below what is attainable at all.
    returns = first.expected_return + span * np.linspace(0.0, 1.0 - _ENOUGH, points)
    rest = (target_return(moments, constraints, at_least=float(value)) for value in returns[1:])
    return (first, *rest)


def _solved(problem: Programme, linear: FloatArray) -> quadratic.Solution:
    found = quadratic.solve(problem.hessian, linear, problem.polytope, singular=problem.trades)
    return _exact(problem, linear, problem.netted(found.x), found)


def _exact(
    problem: Programme, linear: FloatArray, x: FloatArray, found: quadratic.Solution
) -> quadratic.Solution:
    again = quadratic.polish(problem.hessian, linear, problem.polytope, x=x, multipliers=found.multipliers)
    return min(again, found, key=lambda one: one.residuals.largest) if problem.trades else found


def _at(problem: Programme, tolerance: float) -> quadratic.Solution:
    return _solved(problem, problem.linear - tolerance * problem.gain)


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


def _tangent(problem: Programme, invested: float) -> FloatArray:
    """Minimise the variance of ``k x`` with an excess return of 1, where k > 0 is free; return x."""
    held, count = problem.polytope, len(problem.linear)
    size = count + 1 if problem.trades else count
    factor = np.zeros(size)
    if problem.trades:
        factor[-1] = 1.0
    else:
        factor += 1.0 / invested
    wide = np.pad(np.vstack([held.rows, np.eye(count)]), ((0, 0), (0, size - count)))
    lower, upper = np.append(held.row_lower, held.lower), np.append(held.row_upper, held.upper)
    if not problem.trades:
        # That weights sum to what is invested has become the factor's definition.
        wide, lower, upper = wide[1:], lower[1:], upper[1:]
    first = len(wide) - count
    equal = lower == upper
    needs_upper, needs_lower = np.isfinite(upper) & ~equal, np.isfinite(lower) & ~equal
    # What stays a simple bound needs no row: zero, and an upper bound that the sum implies.
    closed = held.upper == 0.0
    needs_upper[first:] &= ~closed
    needs_lower[first:] &= held.lower != 0.0
    if not problem.trades and (held.lower >= 0.0).all():
        needs_upper[first:] &= held.upper < invested
    equal[first:] &= ~closed
    ties = wide[equal] - upper[equal, None] * factor
    above = wide[needs_upper] - upper[needs_upper, None] * factor
    below = lower[needs_lower, None] * factor - wide[needs_lower]
    gain = np.pad(problem.gain, (0, size - count)) + factor * (problem.gain_at_zero / problem.gain_scale)
    rows = np.vstack([gain, ties, above, below])
    fixed = 1 + len(ties)
    polytope = Polytope(
        np.pad(np.where(held.lower >= 0.0, 0.0, -np.inf), (0, size - count)),
        np.pad(np.where(closed, 0.0, np.inf), (0, size - count), constant_values=np.inf),
        rows,
        np.concatenate([[1.0], np.zeros(len(ties)), np.full(len(rows) - fixed, -np.inf)]),
        np.concatenate([[1.0], np.zeros(len(rows) - 1)]),
        ("excess return above 0", *["the other constraints"] * (len(rows) - 1)),
    )
    hessian = problem.hessian
    if problem.trades:
        constant = float(problem.present @ problem.linear[: len(problem.present)])
        hessian = np.block(
            [[hessian, problem.linear[:, None]], [problem.linear[None, :], np.array([[constant]])]]
        )
    found = quadratic.solve(hessian, np.zeros(size), polytope, singular=problem.trades).x
    return np.asarray(found[:count] / float(factor @ found))


def _settled(problem: Programme, x: FloatArray) -> quadratic.Solution:
    """Set a tangent portfolio exactly on its active constraints, at the risk tolerance it stands for."""
    held = problem.polytope
    x = problem.netted(x)
    values = held.rows @ x
    above, below = np.abs(values - held.row_upper) < _ENOUGH, np.abs(values - held.row_lower) < _ENOUGH
    multipliers = np.where(above, 1.0, np.where(below, -1.0, 0.0))
    for attempt in range(_STEPS):
        excess = problem.expected(x) / problem.gain_scale
        tolerance = problem.variance(x) / excess
        linear = problem.linear - tolerance * problem.gain
        found = quadratic.polish(problem.hessian, linear, held, x=x, multipliers=multipliers)
        if found.residuals.largest > _ENOUGH and attempt > 1:
            found = _at(problem, tolerance)
        moved = float(np.abs(found.x - x).max())
        x, multipliers = found.x, found.multipliers
        if moved < _CLOSE and attempt:
            return found
    raise NotConverged("the portfolio of the largest Sharpe ratio did not settle")


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
        found = _at(problem, tolerance)
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
    weights = problem.weights(solution.x)
    return portfolio(weights, moments, constraints, method=method, residuals=residuals)
