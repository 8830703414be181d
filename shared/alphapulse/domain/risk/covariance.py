"""Estimates of the covariance of returns, per period.

References
----------
.. [1] J.-P. Morgan/Reuters, "RiskMetrics Technical Document", 1996 (exponential weights, zero mean).
.. [2] O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
   Journal of Multivariate Analysis 88(2), 2004.
.. [3] O. Ledoit and M. Wolf, "Honey, I Shrunk the Sample Covariance Matrix", Journal of Portfolio Management
   30(4), 2004.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.risk.returns import RiskError, UndefinedRatio, asset_returns

#: RiskMetrics' decay for daily returns.
DAILY_DECAY: Final = 0.94


@dataclass(frozen=True, slots=True, eq=False)
class CovarianceEstimate:
    """A covariance matrix and how it came about.

    Attributes
    ----------
    matrix : ndarray of float64, shape (n_assets, n_assets)
        Symmetric, per period.
    method : str
        ``sample``, ``ewma``, ``ledoit_wolf`` or ``ledoit_wolf_constant_correlation``.
    observations : int
        Returns it was made from.
    shrinkage : float or None
        Share of the target in a shrunk estimate, in [0, 1].
    """

    matrix: FloatArray
    method: str
    observations: int
    shrinkage: float | None = None


def sample_covariance(returns: ArrayLike) -> CovarianceEstimate:
    """Return the unbiased sample covariance, divided by n - 1.

    Parameters
    ----------
    returns : array_like of float, shape (n, n_assets), n >= 2
        NaN is refused. With n <= n_assets the matrix is singular.
    """
    found = asset_returns(returns, least=2)
    centred = found - found.mean(axis=0)
    return CovarianceEstimate(centred.T @ centred / (len(found) - 1), "sample", len(found))


def ewma_covariance(returns: ArrayLike, *, decay: float = DAILY_DECAY) -> CovarianceEstimate:
    """Return exponentially weighted mean products of returns, newest heaviest, with a mean of zero [1]_.

    Parameters
    ----------
    returns : array_like of float, shape (n, n_assets)
        Oldest first. The weight of the return `k` periods before the newest is ``decay ** k``, all of them
        divided by their sum.
    decay : float
        In (0, 1).

    Raises
    ------
    RiskError
        The decay is not between 0 and 1.
    """
    found = asset_returns(returns)
    if not (math.isfinite(decay) and 0.0 < decay < 1.0):
        raise RiskError(f"the decay must be between 0 and 1, was {decay}")
    weights = decay ** np.arange(len(found) - 1, -1, -1.0)
    weighted = found * (weights / weights.sum())[:, None]
    product = weighted.T @ found
    return CovarianceEstimate((product + product.T) / 2.0, "ewma", len(found))


def ledoit_wolf(returns: ArrayLike) -> CovarianceEstimate:
    """Shrink towards the identity times the mean variance [2]_.

    Parameters
    ----------
    returns : array_like of float, shape (n, n_assets), n >= 2
        The sample part is divided by n, as in the paper. Positive definite unless nothing varies.
    """
    found = asset_returns(returns, least=2)
    count, assets = found.shape
    centred = found - found.mean(axis=0)
    sample = centred.T @ centred / count
    mean_variance = float(np.trace(sample)) / assets
    squares = centred**2
    # Squared distances divided by the number of assets, as the paper's norm is.
    spread = float((squares.T @ squares).sum()) / count - float((sample**2).sum())
    distance = float((sample**2).sum()) - assets * mean_variance**2
    shrinkage = _share(spread / count, distance)
    matrix = (1.0 - shrinkage) * sample
    matrix.flat[:: assets + 1] += shrinkage * mean_variance
    return CovarianceEstimate(matrix, "ledoit_wolf", count, shrinkage)


def ledoit_wolf_constant_correlation(returns: ArrayLike) -> CovarianceEstimate:
    """Shrink towards the sample variances with the mean correlation for every pair [3]_.

    Parameters
    ----------
    returns : array_like of float, shape (n, n_assets), n >= 2
        The sample part is divided by n, as in the paper.

    Raises
    ------
    UndefinedRatio
        An asset does not vary, so it has no correlation.
    """
    found = asset_returns(returns, least=2)
    count, assets = found.shape
    centred = found - found.mean(axis=0)
    sample = centred.T @ centred / count
    deviations = np.sqrt(np.diag(sample))
    _require_movement(deviations)
    outer = np.outer(deviations, deviations)
    off_diagonal = ~np.eye(assets, dtype=bool)
    correlation = float((sample / outer)[off_diagonal].mean()) if assets > 1 else 0.0
    target = correlation * outer
    target.flat[:: assets + 1] = deviations**2
    squares = centred**2
    products = squares.T @ squares / count - sample**2
    # Asymptotic covariance of the target's entries with the sample's, off the diagonal.
    thirds = (centred**3).T @ centred / count - np.diag(sample)[:, None] * sample
    ratios = np.outer(1.0 / deviations, deviations)
    rho = float(np.trace(products)) + correlation * float((ratios * thirds)[off_diagonal].sum())
    shrinkage = _share((float(products.sum()) - rho) / count, float(((sample - target) ** 2).sum()))
    matrix = shrinkage * target + (1.0 - shrinkage) * sample
    return CovarianceEstimate(matrix, "ledoit_wolf_constant_correlation", count, shrinkage)


def correlation(covariance: ArrayLike) -> FloatArray:
    """Return the correlation matrix of a covariance matrix, with ones on its diagonal.

    Raises
    ------
    UndefinedRatio
        A variance is not positive.
    RiskError
        It is not square.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:  # noqa: PLR2004 - a matrix
        raise RiskError(f"a covariance matrix must be square, found shape {matrix.shape}")
    variances = np.diag(matrix)
    deviations = np.sqrt(np.maximum(variances, 0.0))
    _require_movement(deviations)
    found = np.clip(matrix / np.outer(deviations, deviations), -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def _require_movement(deviations: FloatArray) -> None:
    still = np.flatnonzero(~(deviations > 0.0))
    if len(still):
        listed = ", ".join(str(number) for number in still[:5])
        raise UndefinedRatio(f"assets that do not vary have no correlation: numbers {listed}")


def _share(part: float, whole: float) -> float:
    """Return the shrinkage; all of it where sample and target are the same, which changes nothing."""
    return 1.0 if whole <= 0.0 else min(1.0, max(0.0, part / whole))
