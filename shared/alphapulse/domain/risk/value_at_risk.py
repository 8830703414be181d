"""Value at risk and expected shortfall of one period, as positive losses.

Three ways, each with its own assumption: *historical* takes the returns as they came, *normal* and
*Cornish-Fisher* fit moments, *Monte Carlo* draws from a fitted normal distribution of the assets. CVaR is the
mean loss of the worst ``1 - level`` of cases and is never below VaR.

References
----------
.. [1] R. T. Rockafellar and S. Uryasev, "Conditional value-at-risk for general loss distributions", Journal
   of Banking & Finance 26(7), 2002.
.. [2] E. A. Cornish and R. A. Fisher, "Moments and Cumulants in the Specification of Distributions", 1938.
.. [3] D. Maillard, "A User's Guide to the Cornish Fisher Expansion", 2012.
.. [4] J.-P. Morgan/Reuters, "RiskMetrics Technical Document", 1996 (component VaR: Euler's theorem).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.risk.returns import (
    RiskError,
    asset_returns,
    asset_weights,
    require_level,
    return_series,
    stands_still,
)

_NORMAL: Final = NormalDist()
#: Draws of a Monte Carlo estimate; the standard error of a 95 % VaR is then about 0.7 % of it.
DEFAULT_DRAWS: Final = 100_000
# Bounds the memory that many assets take.
_DRAWS_AT_ONCE: Final = 10_000


class OutsideDomain(RiskError):
    """Skewness and kurtosis are too large for the Cornish-Fisher expansion to be a distribution."""


@dataclass(frozen=True, slots=True)
class TailLoss:
    """A loss that is not exceeded, and the mean of the losses beyond it.

    Attributes
    ----------
    value_at_risk, expected_shortfall : float
        Shares of value, positive for a loss; negative when even the tail earns.
    level : float
        Confidence, such as 0.95.
    method : str
        ``historical``, ``normal``, ``cornish_fisher`` or ``monte_carlo``.
    observations : int
        Returns it was made from.
    """

    value_at_risk: float
    expected_shortfall: float
    level: float
    method: str
    observations: int


def historical(returns: ArrayLike, *, level: float = 0.95) -> TailLoss:
    """Take the tail of the returns as they came.

    VaR is the empirical quantile, linear between order statistics (definition 7 of Hyndman and Fan). CVaR
    weighs exactly ``(1 - level) * n`` observations, the last one in part [1]_.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        NaN is refused.
    level : float
        In (0, 1).
    """
    found = return_series(returns)
    tail = 1.0 - require_level(level)
    var = -float(np.quantile(found, tail, method="linear"))
    shortfall = float(_tail_weights(found, tail) @ -found)
    return TailLoss(var, max(shortfall, var), level, "historical", len(found))


def normal(returns: ArrayLike, *, level: float = 0.95) -> TailLoss:
    """Fit a normal distribution by mean and standard deviation (n - 1)."""
    found = return_series(returns, least=2)
    var, shortfall = _normal_tail(float(found.mean()), float(found.std(ddof=1)), level)
    return TailLoss(var, shortfall, level, "normal", len(found))


def cornish_fisher(returns: ArrayLike, *, level: float = 0.95) -> TailLoss:
    """Correct the normal quantile for skewness and excess kurtosis (moments with n) [2]_.

    CVaR is the exact mean of the corrected quantile function over the tail.

    Raises
    ------
    OutsideDomain
        The expansion is not monotonic, so it is no distribution [3]_; use :func:`historical`.
    """
    found = return_series(returns, least=4)
    mean, deviation = float(found.mean()), float(found.std(ddof=1))
    tail = 1.0 - require_level(level)
    if stands_still(deviation, found):
        return TailLoss(-mean, -mean, level, "cornish_fisher", len(found))
    centred = found - mean
    spread = float(np.mean(centred**2))
    skew = float(np.mean(centred**3)) / spread**1.5
    excess = float(np.mean(centred**4)) / spread**2 - 3.0
    _require_monotonic(skew, excess)
    z = _NORMAL.inv_cdf(tail)
    density = _NORMAL.pdf(z) / tail
    # Means of z, z ** 2 and z ** 3 over the tail of a standard normal.
    first, second, third = -density, 1.0 - z * density, -(z * z + 2.0) * density
    var = -(mean + deviation * _expansion(z, z * z, z**3, skew, excess))
    shortfall = -(mean + deviation * _expansion(first, second, third, skew, excess))
    return TailLoss(var, shortfall, level, "cornish_fisher", len(found))


def monte_carlo(
    returns: ArrayLike,
    weights: ArrayLike,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    periods: int = 1,
    draws: int = DEFAULT_DRAWS,
) -> TailLoss:
    """Draw what a portfolio that is left alone is worth after some periods.

    Assets' returns are drawn from the normal distribution with their means and sample covariance, each period
    anew and none below -1; positions are not brought back to their weights in between.

    Parameters
    ----------
    returns : array_like of float, shape (n, n_assets), n >= 2
    weights : array_like of float, shape (n_assets,)
        Shares of value; what is missing to 1 is cash.
    generator : numpy.random.Generator
        The same state gives the same figures.
    level : float
        In (0, 1).
    periods : int
        At least 1.
    draws : int
        At least 100.
    """
    found = asset_returns(returns, least=2)
    share = asset_weights(weights, assets=found.shape[1])
    if draws < 100 or periods < 1:  # noqa: PLR2004 - fewer tell nothing of a tail
        raise RiskError(f"needs at least 100 draws of 1 period, was {draws} of {periods}")
    variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(found, rowvar=False)))
    # Works for a singular covariance too, whose smallest eigenvalues are rounding noise around zero.
    factor = (directions * np.sqrt(np.maximum(variances, 0.0))).T
    earned = np.empty(draws)
    for start in range(0, draws, _DRAWS_AT_ONCE):
        part = earned[start : start + _DRAWS_AT_ONCE]
        growth = np.ones((len(part), found.shape[1]))
        for _ in range(periods):
            drawn = found.mean(axis=0) + generator.standard_normal(growth.shape) @ factor
            growth *= 1.0 + np.maximum(drawn, -1.0)
        part[:] = (growth - 1.0) @ share
    tail = historical(np.maximum(earned, -1.0), level=level)
    return TailLoss(tail.value_at_risk, tail.expected_shortfall, level, "monte_carlo", len(found))


def component_value_at_risk(returns: ArrayLike, weights: ArrayLike, *, level: float = 0.95) -> FloatArray:
    """Split the normal VaR of a portfolio among its assets; the parts sum to it [4]_.

    Returns
    -------
    ndarray of float64, shape (n_assets,)
        ``w_i * (k * (Sigma w)_i / sigma - mu_i)`` with k the normal quantile; negative for a hedge.
    """
    found = asset_returns(returns, least=2)
    share = asset_weights(weights, assets=found.shape[1])
    centred = found - found.mean(axis=0)
    covariances = centred.T @ (centred @ share) / (len(found) - 1)
    deviation = math.sqrt(max(float(share @ covariances), 0.0))
    quantile = -_NORMAL.inv_cdf(1.0 - require_level(level))
    risk = quantile * covariances / deviation if deviation > 0.0 else np.zeros_like(share)
    return np.asarray(share * (risk - found.mean(axis=0)))


def component_expected_shortfall(
    returns: ArrayLike, weights: ArrayLike, *, level: float = 0.95
) -> FloatArray:
    """Split the historical CVaR of a portfolio among its assets by what each loses in the tail."""
    found = asset_returns(returns)
    share = asset_weights(weights, assets=found.shape[1])
    tail = _tail_weights(found @ share, 1.0 - require_level(level))
    return np.asarray(-(tail @ found) * share)


def _tail_weights(returns: FloatArray, tail: float) -> FloatArray:
    """Return the weight of each observation in the worst `tail` of them; they sum to 1."""
    wanted = tail * len(returns)
    order = np.argsort(returns, kind="stable")
    weights = np.zeros(len(returns))
    weights[order] = np.clip(wanted - np.arange(len(returns)), 0.0, 1.0) / wanted
    return weights


def _normal_tail(mean: float, deviation: float, level: float) -> tuple[float, float]:
    tail = 1.0 - require_level(level)
    z = _NORMAL.inv_cdf(tail)
    return -(mean + deviation * z), -mean + deviation * _NORMAL.pdf(z) / tail


def _expansion(first: float, second: float, third: float, skew: float, excess: float) -> float:
    return (
        first
        + (second - 1.0) * skew / 6.0
        + (third - 3.0 * first) * excess / 24.0
        - (2.0 * third - 5.0 * first) * skew**2 / 36.0
    )


def _require_monotonic(skew: float, excess: float) -> None:
    """Refuse an expansion whose slope, a quadratic in z, is not positive everywhere."""
    square = excess / 8.0 - skew**2 / 6.0
    slope = skew / 3.0
    constant = 1.0 - excess / 8.0 + 5.0 * skew**2 / 36.0
    if square < 0.0 or constant <= 0.0 or slope**2 > 4.0 * square * constant:
        raise OutsideDomain(
            f"a skewness of {skew:.3g} and an excess kurtosis of {excess:.3g} are outside the domain of "
            "the Cornish-Fisher expansion"
        )
