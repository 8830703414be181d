"""Measures of a series of simple returns.

Everything per year is told how many periods a year has; 365 for daily returns of assets that trade every day.
Standard deviations divide by n - 1.

References
----------
.. [1] W. F. Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21(1), 1994.
.. [2] F. A. Sortino and R. van der Meer, "Downside Risk", Journal of Portfolio Management 17(4), 1991.
.. [3] T. W. Young, "Calmar Ratio: A Smoother Tool", Futures 20(1), 1991.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.risk.returns import (
    InvalidReturns,
    UndefinedRatio,
    require_periods,
    return_series,
    stands_still,
)


def annual_return(returns: ArrayLike, *, periods_per_year: float) -> float:
    """Return the compound growth per year, ``prod(1 + r) ** (periods_per_year / n) - 1``.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        NaN is refused.
    periods_per_year : float
        365 for daily figures.

    Raises
    ------
    InvalidReturns
        As :func:`alphapulse.domain.risk.returns.return_series`, or growth too large for a float.
    """
    found = return_series(returns)
    years = len(found) / require_periods(periods_per_year)
    with np.errstate(divide="ignore"):
        grown = float(np.log1p(found).sum()) / years
    try:
        return math.expm1(grown)
    except OverflowError as error:
        raise InvalidReturns("the growth per year is too large to be told") from error


def volatility(returns: ArrayLike, *, periods_per_year: float) -> float:
    """Return the standard deviation (n - 1) per year; needs two observations."""
    found = return_series(returns, least=2)
    return float(found.std(ddof=1)) * math.sqrt(require_periods(periods_per_year))


def sharpe_ratio(returns: ArrayLike, *, periods_per_year: float, annual_risk_free: float = 0.0) -> float:
    """Return the mean excess return per unit of its deviation, per year [1]_.

    Parameters
    ----------
    returns : array_like of float, shape (n,), n >= 2
    periods_per_year : float
        The ratio of one period is multiplied by its square root.
    annual_risk_free : float
        Compounded down to a period: ``(1 + annual) ** (1 / periods_per_year) - 1``.

    Raises
    ------
    UndefinedRatio
        The returns do not vary.
    """
    excess = return_series(returns, least=2) - per_period(annual_risk_free, periods_per_year)
    deviation = float(excess.std(ddof=1))
    if stands_still(deviation, excess):
        raise UndefinedRatio("the returns do not vary, so there is no Sharpe ratio")
    return float(excess.mean()) / deviation * math.sqrt(periods_per_year)


def sortino_ratio(returns: ArrayLike, *, periods_per_year: float, annual_target: float = 0.0) -> float:
    """Return the mean excess over a target per unit of downside deviation, per year [2]_.

    The downside deviation is ``sqrt(mean(min(r - target, 0) ** 2))`` over all n observations.

    Raises
    ------
    UndefinedRatio
        No return is below the target.
    """
    excess = return_series(returns) - per_period(annual_target, periods_per_year)
    downside = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    if downside == 0.0:
        raise UndefinedRatio("no return is below the target, so there is no Sortino ratio")
    return float(excess.mean()) / downside * math.sqrt(periods_per_year)


def drawdowns(returns: ArrayLike) -> FloatArray:
    """Return how far wealth is below its highest so far, as a share of that, after each period.

    Wealth begins at 1, so that a loss in the first period counts.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1].
    """
    wealth = np.concatenate(([1.0], np.cumprod(1.0 + return_series(returns))))
    if not np.isfinite(wealth).all():
        raise InvalidReturns("the growth is too large to be told")
    highest = np.maximum.accumulate(wealth)
    return np.asarray(1.0 - wealth[1:] / highest[1:])


def max_drawdown(returns: ArrayLike) -> float:
    """Return the largest of :func:`drawdowns`: ``[-0.2, 0.1, 0.1]`` gives 0.2."""
    return float(drawdowns(return_series(returns)).max())


def calmar_ratio(returns: ArrayLike, *, periods_per_year: float) -> float:
    """Return the compound growth per year per unit of the largest drawdown [3]_.

    Raises
    ------
    UndefinedRatio
        There was no drawdown.
    """
    deepest = max_drawdown(returns)
    if deepest == 0.0:
        raise UndefinedRatio("there was no drawdown, so there is no Calmar ratio")
    return annual_return(returns, periods_per_year=periods_per_year) / deepest


def beta(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Return the covariance with a benchmark per unit of the benchmark's variance.

    Parameters
    ----------
    returns, benchmark : array_like of float, shape (n,), n >= 2
        Of the same periods.

    Raises
    ------
    InvalidReturns
        The two have different lengths.
    UndefinedRatio
        The benchmark does not vary.
    """
    own, other = return_series(returns, least=2), return_series(benchmark, least=2)
    if len(own) != len(other):
        raise InvalidReturns(f"{len(own)} returns cannot be compared with {len(other)} of the benchmark")
    centred = other - other.mean()
    variance = float(centred @ centred)
    if stands_still(math.sqrt(variance / len(other)), other):
        raise UndefinedRatio("the benchmark does not vary, so there is no beta")
    return float((own - own.mean()) @ centred) / variance


def per_period(annual: float, periods_per_year: float) -> float:
    """Return the rate of one period that compounds to an annual one.

    Raises
    ------
    InvalidReturns
        The annual rate is -1 or less, or not finite.
    """
    if not (math.isfinite(annual) and annual > -1.0):
        raise InvalidReturns(f"an annual rate must be above -1, was {annual}")
    return math.expm1(math.log1p(annual) / require_periods(periods_per_year))
