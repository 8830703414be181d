"""The tangent portfolio: the largest expected excess return per volatility, by convex programmes.

References
----------
.. [1] G. Cornuejols and R. Tutuncu, "Optimization Methods in Finance", 2006, section 8.2.
"""

from typing import Final

import numpy as np

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize import quadratic
from alphapulse.domain.optimize.errors import NotConverged
from alphapulse.domain.optimize.kkt import Polytope
from alphapulse.domain.optimize.programme import Programme, at_tolerance

_ENOUGH: Final = 1e-9
_STEPS: Final = 200
_CLOSE: Final = 1e-12
_FAR: Final = 100.0


def homogeneous_optimum(problem: Programme, invested: float) -> FloatArray:
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


def settled(problem: Programme, x: FloatArray) -> quadratic.Solution:
    """Set a tangent portfolio exactly on its active constraints, at the risk tolerance it stands for."""
    held = problem.polytope
    x = problem.netted(x)
    values = held.rows @ x
    above, below = np.abs(values - held.row_upper) < _ENOUGH, np.abs(values - held.row_lower) < _ENOUGH
    multipliers = np.where(above, 1.0, np.where(below, -1.0, 0.0))
    tolerance = _tolerance_of(problem, x)
    for _ in range(_STEPS):
        linear = problem.linear - tolerance * problem.gain
        found = quadratic.polish(problem.hessian, linear, held, x=x, multipliers=multipliers)
        if found.residuals.largest > _ENOUGH:
            found = at_tolerance(problem, tolerance)
        x, multipliers = found.x, found.multipliers
        following = _tangent_tolerance(problem, found, tolerance)
        if abs(following - tolerance) <= _CLOSE * tolerance:
            return found
        tolerance = following
    raise NotConverged("the portfolio of the largest Sharpe ratio did not settle")


def _tolerance_of(problem: Programme, x: FloatArray) -> float:
    """Return the variance per excess return: the risk tolerance of a portfolio that is the tangent one."""
    return problem.variance(x) * problem.gain_scale / problem.expected(x)


def _tangent_tolerance(problem: Programme, found: quadratic.Solution, tolerance: float) -> float:
    """Return the tolerance that is the :func:`_tolerance_of` its own optimum on the present piece."""
    along = quadratic.direction(problem.hessian, problem.gain, problem.polytope, found)
    excess = problem.expected(found.x) / problem.gain_scale
    slope = float((problem.hessian @ found.x + problem.linear) @ along)
    # Squares of the step cancel: `along' H along` is `gain' along`.
    change = excess + tolerance * float(problem.gain @ along) - 2.0 * slope
    if change > 0.0:
        following = tolerance + (problem.variance(found.x) - tolerance * excess) / change
        if 0.0 < following < _FAR * tolerance:
            return following
    return _tolerance_of(problem, found.x) if excess > 0.0 else tolerance * 2.0
