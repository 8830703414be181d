"""What an optimiser gives back."""

import math
from dataclasses import dataclass, field

import numpy as np

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize.constraints import Constraints
from alphapulse.domain.optimize.kkt import KKTResiduals
from alphapulse.domain.optimize.moments import Moments


@dataclass(frozen=True, slots=True, eq=False)
class Portfolio:
    """Weights and what is expected of them, per period.

    Attributes
    ----------
    assets : tuple of str
    weights : ndarray of float64, shape (n_assets,)
        They sum to ``1 - cash``.
    method : str
    expected_return : float
        After the cost of trading from the present weights.
    volatility : float
    turnover, cost : float
        ``sum(abs(weight - present))`` and what it costs; 0 where nothing is known of the present.
    covariance : str
        Method of the covariance; another one than was asked for where that was singular.
    shrinkage : float or None
    ridge : float
        As in :class:`alphapulse.domain.optimize.moments.Moments`.
    residuals : KKTResiduals or None
        Of a convex optimum.
    notes : tuple of str
        What a reader must know, such as a covariance that had to be shrunk.
    """

    assets: tuple[str, ...]
    weights: FloatArray
    method: str
    expected_return: float
    volatility: float
    turnover: float
    cost: float
    covariance: str
    shrinkage: float | None
    ridge: float
    residuals: KKTResiduals | None = None
    notes: tuple[str, ...] = field(default=())


def portfolio(
    weights: FloatArray,
    moments: Moments,
    constraints: Constraints,
    *,
    method: str,
    residuals: KKTResiduals | None = None,
) -> Portfolio:
    """Reckon what is expected of weights."""
    changes = (
        np.zeros_like(weights) if constraints.present is None else weights - np.asarray(constraints.present)
    )
    cost = float(constraints.costs @ np.abs(changes))
    return Portfolio(
        assets=constraints.assets,
        weights=weights,
        method=method,
        expected_return=float(moments.expected @ weights) - cost,
        volatility=math.sqrt(max(0.0, float(weights @ moments.covariance @ weights))),
        turnover=float(np.abs(changes).sum()),
        cost=cost,
        covariance=moments.method,
        shrinkage=moments.shrinkage,
        ridge=moments.ridge,
        residuals=residuals,
        notes=_notes(moments),
    )


def _notes(moments: Moments) -> tuple[str, ...]:
    if moments.ridge:
        return (f"the covariance was singular; {moments.ridge:.3g} was added to each variance",)
    if moments.shrinkage is not None:
        return (f"the covariance is shrunk by {moments.shrinkage:.4f} (Ledoit and Wolf)",)
    return ()
