"""Views on returns blended with what the market's weights imply.

References
----------
.. [1] G. He and R. Litterman, "The Intuition Behind Black-Litterman Model Portfolios", Goldman Sachs, 1999.
.. [2] T. Idzorek, "A step-by-step guide to the Black-Litterman model", 2005.
.. [3] J. Walters, "The Black-Litterman Model in Detail", SSRN 1314585, 2014 (Idzorek's confidences in closed
   form).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize.errors import InvalidProblem

#: He and Litterman's uncertainty of the equilibrium.
DEFAULT_TAU: Final = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What somebody expects of portfolios.

    Attributes
    ----------
    portfolios : array_like of float, shape (n_views, n_assets)
        P: 1 for an absolute view of an asset; long and short sides for a relative one.
    returns : array_like of float, shape (n_views,)
        Q: what each is expected to return, excess over the risk-free rate as the equilibrium is.
    confidences : array_like of float, shape (n_views,), optional
        Idzorek's, in [0, 1]: 0 leaves a view out, 1 makes it certain.
    uncertainty : array_like of float, shape (n_views, n_views), optional
        Omega; ``diag(tau P S P')`` where neither is given.
    """

    portfolios: ArrayLike
    returns: ArrayLike
    confidences: ArrayLike | None = None
    uncertainty: ArrayLike | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Expected returns and covariance after the views.

    Attributes
    ----------
    expected : ndarray of float64, shape (n_assets,)
    covariance : ndarray of float64, shape (n_assets, n_assets)
        Of returns: the prior's plus the uncertainty of `expected`.
    equilibrium : ndarray of float64, shape (n_assets,)
        Before the views.
    """

    expected: FloatArray
    covariance: FloatArray
    equilibrium: FloatArray


def equilibrium_returns(covariance: ArrayLike, market: ArrayLike, *, risk_aversion: float) -> FloatArray:
    """Return the excess returns for which the market's weights are optimal, ``delta S w`` [1]_.

    Parameters
    ----------
    covariance : array_like of float, shape (n_assets, n_assets)
    market : array_like of float, shape (n_assets,)
        Weights by capitalisation.
    risk_aversion : float
        delta; 2.5 in the paper.
    """
    matrix, weights = _matrix(covariance), np.asarray(market, dtype=np.float64)
    _require_finite("market weights", weights, (len(matrix),))
    return np.asarray(_positive("risk aversion", risk_aversion) * (matrix @ weights))


def posterior(
    covariance: ArrayLike, equilibrium: ArrayLike, views: Views, *, tau: float = DEFAULT_TAU
) -> Posterior:
    """Blend an equilibrium with views [1]_.

    ``mu = pi + tau S P' (P tau S P' + Omega)^-1 (Q - P pi)``, which is the form with ``(tau S)^-1`` without
    inverting the covariance, so a singular one and certain views are allowed.

    Parameters
    ----------
    covariance : array_like of float, shape (n_assets, n_assets)
    equilibrium : array_like of float, shape (n_assets,)
        Prior expected excess returns.
    views : Views
    tau : float
        Uncertainty of the prior, as a share of the covariance.

    Raises
    ------
    InvalidProblem
        Not finite, of shapes that do not fit, or certain views that contradict or repeat each other.
    """
    matrix, prior = _matrix(covariance), np.asarray(equilibrium, dtype=np.float64)
    _require_finite("the equilibrium", prior, (len(matrix),))
    picks = np.atleast_2d(np.asarray(views.portfolios, dtype=np.float64))
    wanted = np.atleast_1d(np.asarray(views.returns, dtype=np.float64))
    _require_finite("views' portfolios", picks, (len(wanted), len(matrix)))
    _require_finite("views' returns", wanted, (len(wanted),))
    uncertain = _positive("tau", tau) * matrix
    spread = picks @ uncertain @ picks.T
    omega, used = _omega(views, spread)
    if not used.any():
        return Posterior(prior, matrix + uncertain, prior)
    picks, wanted, spread = picks[used], wanted[used], spread[np.ix_(used, used)]
    reach = uncertain @ picks.T
    whole = spread + omega[np.ix_(used, used)]
    if np.linalg.matrix_rank(whole) < len(whole):
        raise InvalidProblem("views that are certain contradict or repeat each other")
    solved = np.linalg.solve(whole, np.column_stack([wanted - picks @ prior, reach.T]))
    left = uncertain - reach @ solved[:, 1:]
    return Posterior(prior + reach @ solved[:, 0], matrix + (left + left.T) / 2.0, prior)


def unconstrained_weights(found: Posterior, *, risk_aversion: float) -> FloatArray:
    """Return the optimal weights without any limit, ``(delta S)^-1 mu`` [1]_; what is missing to 1 is cash.

    Raises
    ------
    InvalidProblem
        The covariance is singular.
    """
    try:
        weights = np.linalg.solve(
            _positive("risk aversion", risk_aversion) * found.covariance, found.expected
        )
    except np.linalg.LinAlgError as error:
        raise InvalidProblem("a singular covariance has no unconstrained optimum") from error
    return np.asarray(weights)


def _omega(views: Views, spread: FloatArray) -> tuple[FloatArray, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return Omega and which views count."""
    count = len(spread)
    used = np.ones(count, dtype=np.bool_)
    if views.confidences is not None and views.uncertainty is not None:
        raise InvalidProblem("views have either confidences or an uncertainty, not both")
    if views.uncertainty is not None:
        omega = np.asarray(views.uncertainty, dtype=np.float64)
        _require_finite("views' uncertainty", omega, (count, count))
        return omega, used
    if views.confidences is None:
        return np.diag(np.diag(spread)), used
    confidences = np.atleast_1d(np.asarray(views.confidences, dtype=np.float64))
    _require_finite("confidences", confidences, (count,))
    if not ((confidences >= 0.0) & (confidences <= 1.0)).all():
        raise InvalidProblem("confidences must be between 0 and 1")
    used = confidences > 0.0
    share = np.where(used, confidences, 1.0)
    return np.diag(np.diag(spread) * (1.0 - share) / share), used


def _matrix(covariance: ArrayLike) -> FloatArray:
    found = np.asarray(covariance, dtype=np.float64)
    if found.ndim != 2:  # noqa: PLR2004 - a matrix
        raise InvalidProblem(f"a covariance must be square, found shape {found.shape}")
    _require_finite("a covariance", found, (len(found), len(found)))
    return found


def _require_finite(what: str, values: FloatArray, shape: tuple[int, ...]) -> None:
    if values.shape != shape or not np.isfinite(values).all():
        raise InvalidProblem(f"{what} must be finite and of shape {shape}, found {values.shape}")


def _positive(what: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0.0):
        raise InvalidProblem(f"{what} must be positive, was {value}")
    return value
