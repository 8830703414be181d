"""Karush-Kuhn-Tucker conditions of a quadratic programme, as residuals.

The programme: minimise ``x' H x / 2 + f' x`` with ``lower <= x <= upper`` and
``row_lower <= R x <= row_upper``.
"""

from dataclasses import dataclass

import numpy as np

from alphapulse.domain.indicators import FloatArray

_AT_BOUND = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Polytope:
    """Bounds of variables and rows; infinite where there is none. Rows have names, variables a noun."""

    lower: FloatArray
    upper: FloatArray
    rows: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    names: tuple[str, ...]
    bounds_of: str = "weights"


@dataclass(frozen=True, slots=True)
class KKTResiduals:
    """How far a result is from an optimum, all at least 0.

    Attributes
    ----------
    stationarity : float
        Largest slope along which a variable could still go, as a share of the largest term of the slope.
    primal : float
        Largest breach of a constraint, in weights.
    complementarity : float
        Largest multiplier (same share) of a row that is not at its limit, or with the wrong sign.
    """

    stationarity: float
    primal: float
    complementarity: float

    @property
    def largest(self) -> float:
        """The largest of them."""
        return max(self.stationarity, self.primal, self.complementarity)


def residuals(
    hessian: FloatArray, linear: FloatArray, polytope: Polytope, *, x: FloatArray, multipliers: FloatArray
) -> KKTResiduals:
    """Return the residuals at `x` with multipliers of the rows, positive where a row is at its upper limit.

    Multipliers of bounds are what makes the Lagrangian's slope zero, so a wrong sign of them shows as
    stationarity.
    """
    gradient = hessian @ x + linear
    slope = gradient + polytope.rows.T @ multipliers
    # The slope itself may be all zero: that of a tangent portfolio within its bounds is.
    scale = max(float(np.abs(hessian @ x).max()), float(np.abs(linear).max()), 1e-300)
    can_rise, can_fall = x < polytope.upper - _AT_BOUND, x > polytope.lower + _AT_BOUND
    free = np.maximum(np.where(can_rise, -slope, 0.0), np.where(can_fall, slope, 0.0))
    values = polytope.rows @ x
    breach = max(
        float(np.maximum(polytope.lower - x, x - polytope.upper).max()),
        float(np.maximum(polytope.row_lower - values, values - polytope.row_upper).max()),
    )
    below, above = values < polytope.row_upper - _AT_BOUND, values > polytope.row_lower + _AT_BOUND
    wrong = np.maximum(np.where(below, multipliers, 0.0), np.where(above, -multipliers, 0.0))
    return KKTResiduals(
        max(0.0, float(free.max())) / scale, max(0.0, breach), max(0.0, float(wrong.max())) / scale
    )
