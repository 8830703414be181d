"""Expected returns and covariance as optimisers take them, mended where singular.

References
----------
.. [1] O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
   Journal of Multivariate Analysis 88(2), 2004.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.optimize.errors import InvalidProblem, SingularCovariance
from alphapulse.domain.risk.covariance import CovarianceEstimate, ledoit_wolf, sample_covariance
from alphapulse.domain.risk.returns import asset_returns

# Share of an asset's variance that earlier assets do not explain, below which the matrix is singular.
_UNEXPLAINED: Final = 1e-8
_RIDGE: Final = 1e-6
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What is known of the assets, per period.

    Attributes
    ----------
    expected : ndarray of float64, shape (n_assets,)
        Expected returns.
    covariance : ndarray of float64, shape (n_assets, n_assets)
        Symmetric and positive definite.
    method : str
        Of the covariance: ``sample``, ``ledoit_wolf`` or ``given``, with ``+ridge`` where one was added.
    shrinkage : float or None
        Share of the target, where Ledoit and Wolf's estimate took the place of a singular one.
    ridge : float
        What was added to every variance of a singular covariance.
    """

    expected: FloatArray
    covariance: FloatArray
    method: str
    shrinkage: float | None = None
    ridge: float = 0.0


def estimate(returns: ArrayLike, *, expected: ArrayLike | None = None) -> Moments:
    """Estimate moments: means and sample covariance, or a shrunk covariance [1]_ where that is singular.

    Parameters
    ----------
    returns : array_like of float, shape (n, n_assets), n >= 2
        NaN is refused.
    expected : array_like of float, shape (n_assets,), optional
        In the place of the means.

    Raises
    ------
    SingularCovariance
        Nothing varies.
    """
    found = asset_returns(returns, least=2)
    means = found.mean(axis=0) if expected is None else np.asarray(expected, dtype=np.float64)
    sample = sample_covariance(found)
    return _mended(means, sample, found)


def given(expected: ArrayLike, covariance: ArrayLike | CovarianceEstimate) -> Moments:
    """Take moments that are known, with a ridge of 1e-6 of the mean variance where they are singular.

    Parameters
    ----------
    expected : array_like of float, shape (n_assets,)
    covariance : array_like of float, shape (n_assets, n_assets), or CovarianceEstimate
        Symmetric, positive semidefinite.

    Raises
    ------
    InvalidProblem
        Not finite, of the wrong shape, or not symmetric.
    SingularCovariance
        It has a negative eigenvalue, or nothing varies.
    """
    if not isinstance(covariance, CovarianceEstimate):
        covariance = CovarianceEstimate(np.asarray(covariance, dtype=np.float64), "given", 0)
    return _mended(np.asarray(expected, dtype=np.float64), covariance, None)


def _mended(expected: FloatArray, covariance: CovarianceEstimate, returns: FloatArray | None) -> Moments:
    matrix = covariance.matrix
    _require_sound(expected, matrix)
    matrix = (matrix + matrix.T) / 2.0
    if _regular(matrix):
        return Moments(expected, matrix, covariance.method, covariance.shrinkage)
    if not np.diag(matrix).max() > 0.0:
        raise SingularCovariance("no asset varies, so there is no risk to divide")
    if returns is not None:
        shrunk = ledoit_wolf(returns)
        if _regular(shrunk.matrix):
            return Moments(expected, shrunk.matrix, shrunk.method, shrunk.shrinkage)
    mean_variance = float(np.trace(matrix)) / len(matrix)
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    if lowest < -_ROUNDING * len(matrix) * mean_variance:
        raise SingularCovariance(f"a covariance cannot have a negative eigenvalue, found {lowest:.3g}")
    ridge = _RIDGE * mean_variance + max(0.0, -lowest)
    mended = matrix + ridge * np.eye(len(matrix))
    return Moments(expected, mended, f"{covariance.method}+ridge", covariance.shrinkage, ridge)


def _require_sound(expected: FloatArray, matrix: FloatArray) -> None:
    if expected.ndim != 1 or matrix.shape != (len(expected), len(expected)) or not len(expected):
        raise InvalidProblem(f"{expected.shape} expected returns do not fit a covariance of {matrix.shape}")
    if not (np.isfinite(expected).all() and np.isfinite(matrix).all()):
        raise InvalidProblem("expected returns and covariance must be finite")
    if np.abs(matrix - matrix.T).max() > _ROUNDING * max(np.abs(matrix).max(), 1e-300):
        raise InvalidProblem("a covariance must be symmetric")


def _regular(matrix: FloatArray) -> bool:
    """Tell whether every asset has a variance that the assets before it do not explain."""
    if not (np.diag(matrix) > 0.0).all():
        return False
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return bool((np.diag(factor) ** 2 > _UNEXPLAINED * np.diag(matrix)).all())
