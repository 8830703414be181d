"""Quadratic programmes: solved by active sets (DAQP), then set exactly on their active constraints.

References
----------
.. [1] D. Arnstrom, A. Bemporad and D. Axehill, "A Dual Active-Set Solver for Embedded Quadratic Programming
   Using Recursive LDL' Updates", IEEE Transactions on Automatic Control 67(8), 2022.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize.errors import Infeasible, NotConverged
from alphapulse.domain.optimize.kkt import KKTResiduals, Polytope, residuals

_FIXED: Final = 5  # DAQP's mark of an equality
_INFEASIBLE: Final = -1
_TOLERANCE: Final = 1e-10
_AT_BOUND: Final = 1e-9
_ENOUGH: Final = 1e-9
_RIDGE: Final = 1e-7
#: Variables above which few are tried first.
_MANY: Final = 60
_ROUNDS: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A programme's optimum with the multipliers of its rows and its residuals."""

    x: FloatArray
    multipliers: FloatArray
    residuals: KKTResiduals


def solve(hessian: FloatArray, linear: FloatArray, polytope: Polytope, *, singular: bool = False) -> Solution:
    """Minimise ``x' H x / 2 + f' x`` in a polytope [1]_.

    Parameters
    ----------
    hessian : ndarray of float64, shape (n, n)
        Positive definite, or `singular` and semidefinite; of the order of 1.
    linear : ndarray of float64, shape (n,)
    polytope : Polytope

    Raises
    ------
    Infeasible
        Naming a smallest conflict.
    NotConverged
        DAQP found no optimum for another reason.
    """
    if not singular:
        x, multipliers = _optimum(hessian, linear, polytope)
        return polish(hessian, linear, polytope, x=x, multipliers=multipliers)
    regular = hessian + _RIDGE * np.eye(len(linear))
    x, multipliers = _optimum(regular, linear, polytope)
    found = polish(hessian, linear, polytope, x=x, multipliers=multipliers)
    for _ in range(_ROUNDS):
        if found.residuals.largest < _ENOUGH:
            break
        # The proximal point method: the ridge pulls to the last point and not to zero.
        x, multipliers = _optimum(regular, linear - _RIDGE * x, polytope)
        found = min(
            found,
            polish(hessian, linear, polytope, x=x, multipliers=multipliers),
            key=lambda one: one.residuals.largest,
        )
    return found


def most(gain: FloatArray, polytope: Polytope) -> Solution:
    """Return the point of a polytope with the largest ``gain' x``, or one of several.

    Raises
    ------
    Infeasible
        It has none.
    """
    linear = -gain / max(float(np.abs(gain).max()), 1e-300)
    found = _daqp(None, linear, polytope)
    if found is None:
        raise Infeasible(conflict(polytope))
    x = np.clip(found[0], polytope.lower, polytope.upper)
    nothing = np.zeros((len(x), len(x)))
    return Solution(x, found[1], residuals(nothing, linear, polytope, x=x, multipliers=found[1]))


def _optimum(hessian: FloatArray, linear: FloatArray, polytope: Polytope) -> tuple[FloatArray, FloatArray]:
    found = _few_first(hessian, linear, polytope) if len(linear) > _MANY else None
    if found is None:
        found = _daqp(hessian, linear, polytope)
    if found is None:
        raise Infeasible(conflict(polytope))
    return found


def polish(
    hessian: FloatArray, linear: FloatArray, polytope: Polytope, *, x: FloatArray, multipliers: FloatArray
) -> Solution:
    """Solve for the free variables exactly with the active constraints as equations, if that is better."""
    x = np.clip(x, polytope.lower, polytope.upper)
    x = np.where(x - polytope.lower < _AT_BOUND, polytope.lower, x)
    x = np.where(polytope.upper - x < _AT_BOUND, polytope.upper, x)
    best = Solution(x, multipliers, residuals(hessian, linear, polytope, x=x, multipliers=multipliers))
    free = (x > polytope.lower) & (x < polytope.upper)
    active = (multipliers != 0.0) | (polytope.row_lower == polytope.row_upper)
    limits = np.where(multipliers < 0.0, polytope.row_lower, polytope.row_upper)
    if not free.any() or not active.any():
        return best
    rows = polytope.rows[active]
    rest = np.where(free, 0.0, x)
    slope = linear[free] + (hessian @ rest)[free]
    try:
        solved = np.linalg.solve(hessian[np.ix_(free, free)], np.column_stack([rows[:, free].T, -slope]))
    except np.linalg.LinAlgError:  # an asset that is bought and sold at once; `best` is of the same optimum
        return best
    needed = rows[:, free] @ solved[:, -1] - (limits[active] - rows @ rest)
    pressed = np.linalg.lstsq(rows[:, free] @ solved[:, :-1], needed, rcond=None)[0]
    exact, exact_multipliers = rest.copy(), np.zeros_like(multipliers)
    exact[free] = solved[:, -1] - solved[:, :-1] @ pressed
    exact_multipliers[active] = pressed
    found = residuals(hessian, linear, polytope, x=exact, multipliers=exact_multipliers)
    return Solution(exact, exact_multipliers, found) if found.largest <= best.residuals.largest else best


def direction(hessian: FloatArray, gain: FloatArray, polytope: Polytope, found: Solution) -> FloatArray:
    """Return how an optimum moves per unit of `gain` taken from f while the same constraints are active."""
    along = np.zeros_like(found.x)
    free = (found.x > polytope.lower + _AT_BOUND) & (found.x < polytope.upper - _AT_BOUND)
    active = (found.multipliers != 0.0) | (polytope.row_lower == polytope.row_upper)
    rows = polytope.rows[np.ix_(active, free)]
    if not free.any():
        return along
    try:
        solved = np.linalg.solve(hessian[np.ix_(free, free)], np.column_stack([rows.T, gain[free]]))
    except np.linalg.LinAlgError:
        return along
    pressed = np.linalg.lstsq(rows @ solved[:, :-1], rows @ solved[:, -1], rcond=None)[0]
    along[free] = solved[:, -1] - solved[:, :-1] @ pressed
    return along


def conflict(polytope: Polytope) -> tuple[str, ...]:
    """Return names of a smallest set of rows and bounds that contradict each other.

    Each is left out in turn, and stays out while the rest is still infeasible.
    """
    kept, bounds = polytope, []
    for side, unbounded in (("lower", -np.inf), ("upper", np.inf)):
        without = _without(kept, side, unbounded)
        if feasible(without):
            total = float(getattr(kept, side).sum())
            bounds.append(f"{side} bounds of {polytope.bounds_of} sum to {total:.6g}")
        else:
            kept = without
    for name in dict.fromkeys(polytope.names):
        others = np.array([own != name for own in kept.names])
        fewer = replace(
            kept,
            row_lower=np.where(others, kept.row_lower, -np.inf),
            row_upper=np.where(others, kept.row_upper, np.inf),
        )
        if not feasible(fewer):
            kept = fewer
    limited = np.isfinite(kept.row_lower) | np.isfinite(kept.row_upper)
    return (*dict.fromkeys(name for name, has in zip(kept.names, limited, strict=True) if has), *bounds)


def feasible(polytope: Polytope) -> bool:
    """Tell whether a polytope has a point."""
    assets = len(polytope.lower)
    if (polytope.lower > polytope.upper).any():
        return False
    return _daqp(np.eye(assets), np.zeros(assets), polytope) is not None


def _without(polytope: Polytope, side: str, unbounded: float) -> Polytope:
    nothing = np.full_like(polytope.lower, unbounded)
    return replace(polytope, lower=nothing) if side == "lower" else replace(polytope, upper=nothing)


def _daqp(
    hessian: FloatArray | None, linear: FloatArray, polytope: Polytope
) -> tuple[FloatArray, FloatArray] | None:
    import daqp  # noqa: PLC0415 - only those who optimise pay for it

    lower = np.concatenate([polytope.lower, polytope.row_lower])
    upper = np.concatenate([polytope.upper, polytope.row_upper])
    if (lower > upper).any():
        return None
    sense = np.where(lower == upper, _FIXED, 0).astype(np.intc)
    x, _, flag, details = daqp.solve(
        None if hessian is None else np.ascontiguousarray(hessian),
        np.ascontiguousarray(linear),
        np.ascontiguousarray(polytope.rows),
        np.minimum(upper, 1e30),
        np.maximum(lower, -1e30),
        sense,
        primal_tol=_TOLERANCE,
    )
    if flag == _INFEASIBLE:
        return None
    if flag <= 0:
        raise NotConverged(f"the solver of quadratic programmes gave up with {flag}")
    return np.array(x), np.array(details["lam"][len(linear) :])


def _few_first(
    hessian: FloatArray, linear: FloatArray, polytope: Polytope
) -> tuple[FloatArray, FloatArray] | None:
    """Solve with most variables at their lower bound, and let in those that want to rise, until none does."""
    movable = polytope.lower < polytope.upper
    if not np.isfinite(polytope.lower).all():
        return None
    inside = np.zeros(len(linear), dtype=bool)
    inside[np.argsort(linear + hessian.sum(axis=1) / len(linear), kind="stable")[:_MANY]] = True
    for _ in range(_ROUNDS):
        inside &= movable
        if 2 * inside.sum() > len(linear):
            return None
        rest = np.where(inside, 0.0, polytope.lower)
        used = polytope.rows @ rest
        part = Polytope(
            polytope.lower[inside],
            polytope.upper[inside],
            polytope.rows[:, inside],
            polytope.row_lower - used,
            polytope.row_upper - used,
            polytope.names,
            polytope.bounds_of,
        )
        found = _daqp(hessian[np.ix_(inside, inside)], linear[inside] + (hessian @ rest)[inside], part)
        if found is None:
            return None
        x = rest
        x[inside] = found[0]
        slope = hessian @ x + linear + polytope.rows.T @ found[1]
        wanting = ~inside & movable & (slope < -_ENOUGH)
        if not wanting.any():
            return x, found[1]
        inside = (inside & (x > polytope.lower)) | wanting
    return None
