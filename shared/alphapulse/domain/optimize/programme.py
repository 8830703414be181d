"""A portfolio's constraints as a polytope: of weights, or of buys and sells where trading matters."""

from dataclasses import dataclass

import numpy as np

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize import quadratic
from alphapulse.domain.optimize.constraints import Constraints
from alphapulse.domain.optimize.errors import Infeasible, InvalidProblem
from alphapulse.domain.optimize.kkt import Polytope
from alphapulse.domain.optimize.moments import Moments


@dataclass(frozen=True, slots=True, eq=False)
class Programme:
    """Minimise ``x' H x / 2 + f' x - risk_tolerance * gain' x``, where weights are linear in x.

    Attributes
    ----------
    hessian, linear : ndarray of float64
        The variance of the weights but for a constant, divided by `scale`; half of it is minimised.
    gain : ndarray of float64
        Slope of the expected return after costs, divided by `gain_scale`.
    gain_at_zero : float
        Expected return at ``x = 0``, unscaled.
    polytope : Polytope
    trades : bool
        x is buys, then sells, from the present weights; otherwise x is the weights.
    """

    hessian: FloatArray
    linear: FloatArray
    gain: FloatArray
    gain_at_zero: float
    polytope: Polytope
    trades: bool
    present: FloatArray
    scale: float
    gain_scale: float

    def weights(self, x: FloatArray) -> FloatArray:
        """Return the weights that belong to x."""
        if not self.trades:
            return x
        count = len(self.present)
        return np.asarray(self.present + (x[:count] - x[count:]))

    def netted(self, x: FloatArray) -> FloatArray:
        """Return x without buying and selling the same asset."""
        if not self.trades:
            return x
        count = len(self.present)
        surplus = x - self.polytope.lower
        both = np.maximum(np.minimum(surplus[:count], surplus[count:]), 0.0)
        return np.asarray(x - np.concatenate([both, both]))

    def expected(self, x: FloatArray) -> float:
        """Return the expected return after costs."""
        return float(self.gain @ x) * self.gain_scale + self.gain_at_zero

    def variance(self, x: FloatArray) -> float:
        """Return the variance, divided by `scale`."""
        constant = float(self.present @ self.linear[: len(self.present)]) if self.trades else 0.0
        return float(x @ self.hessian @ x) + 2.0 * float(self.linear @ x) + constant


def programme(moments: Moments, constraints: Constraints, *, rate: float = 0.0) -> Programme:
    """Put moments and constraints together.

    Parameters
    ----------
    moments : Moments
    constraints : Constraints
    rate : float
        Taken from every expected return: the risk-free rate for excess returns.

    Raises
    ------
    InvalidProblem
        They are not of the same number of assets.
    Infeasible
        A lower bound is above its upper bound.
    """
    assets = len(constraints.assets)
    if len(moments.expected) != assets:
        raise InvalidProblem(f"constraints of {assets} assets do not fit moments of {len(moments.expected)}")
    lower, upper = np.asarray(constraints.lower), np.asarray(constraints.upper)
    crossed = np.flatnonzero(lower > upper)
    if len(crossed):
        raise Infeasible(
            tuple(
                f"{constraints.assets[i]} at least {lower[i]:.6g} and at most {upper[i]:.6g}" for i in crossed
            )
        )
    scale = float(np.trace(moments.covariance)) / assets
    covariance = moments.covariance / scale
    excess = moments.expected - rate
    rows, names, row_lower, row_upper = _rows(constraints)
    trades = constraints.present is not None and (
        constraints.turnover is not None or bool(constraints.costs.any())
    )
    present = np.zeros(assets) if not trades else np.asarray(constraints.present)
    gain, at_zero, linear = excess, 0.0, np.zeros(assets)
    if trades:
        at_zero = float(excess @ present)
        linear = covariance @ present
        linear = np.concatenate([linear, -linear])
        covariance = np.block([[covariance, -covariance], [-covariance, covariance]])
        gain = np.concatenate([excess - constraints.costs, -excess - constraints.costs])
        held = rows @ present
        rows, row_lower, row_upper = np.hstack([rows, -rows]), row_lower - held, row_upper - held
        buys, sells = (lower - present, upper - present), (present - upper, present - lower)
        lower = np.maximum(np.concatenate([buys[0], sells[0]]), 0.0)
        upper = np.maximum(np.concatenate([buys[1], sells[1]]), 0.0)
        if constraints.turnover is not None:
            rows = np.vstack([rows, np.ones(2 * assets)])
            names.append(f"turnover at most {constraints.turnover:.6g}")
            row_lower, row_upper = np.append(row_lower, -np.inf), np.append(row_upper, constraints.turnover)
    polytope = Polytope(
        lower, upper, rows, row_lower, row_upper, tuple(names), "buys and sells" if trades else "weights"
    )
    gain_scale = max(float(np.abs(gain).max()), 1e-300)
    return Programme(
        covariance, linear, gain / gain_scale, at_zero, polytope, trades, present, scale, gain_scale
    )


def solved(problem: Programme, linear: FloatArray) -> quadratic.Solution:
    """Minimise with this linear term in the place of the problem's."""
    found = quadratic.solve(problem.hessian, linear, problem.polytope, singular=problem.trades)
    return _exact(problem, linear, problem.netted(found.x), found)


def at_tolerance(problem: Programme, tolerance: float) -> quadratic.Solution:
    """Minimise half the variance less the expected return times a risk tolerance."""
    return solved(problem, problem.linear - tolerance * problem.gain)


def _rows(constraints: Constraints) -> tuple[FloatArray, list[str], FloatArray, FloatArray]:
    rows, names = [np.ones(len(constraints.assets))], [f"weights sum to {constraints.invested:.6g}"]
    least, most = [constraints.invested], [constraints.invested]
    for group in constraints.groups:
        for limit, word in ((group.at_least, "at least"), (group.at_most, "at most")):
            if np.isfinite(limit):
                rows.append(constraints.members(group))
                names.append(f"group {group.name} {word} {limit:.6g}")
                least.append(limit if word == "at least" else -np.inf)
                most.append(limit if word == "at most" else np.inf)
    return np.array(rows), names, np.array(least), np.array(most)


def _exact(
    problem: Programme, linear: FloatArray, x: FloatArray, found: quadratic.Solution
) -> quadratic.Solution:
    again = quadratic.polish(problem.hessian, linear, problem.polytope, x=x, multipliers=found.multipliers)
    return min(again, found, key=lambda one: one.residuals.largest) if problem.trades else found
