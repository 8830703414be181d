"""Simple returns as arrays, checked once where they come in.

Errors
------
RiskError
+-- InvalidReturns             not finite numbers of the right shape, or a loss of more than everything
|   `-- NotEnoughObservations  too few of them for what is asked
+-- UndefinedRatio             a ratio whose denominator is zero
`-- InvalidLevel               a confidence level outside (0, 1)
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.indicators import FloatArray

_NO_MOVEMENT: Final = 1e-14


class RiskError(ValueError):
    """A figure cannot be computed from what was given; the message says why."""


class InvalidReturns(RiskError):
    """Returns are not finite numbers of the right shape, or lose more than everything."""


class NotEnoughObservations(InvalidReturns):
    """There are too few returns."""

    def __init__(self, needed: int, found: int) -> None:
        super().__init__(f"needs {needed} observations, found {found}")
        self.needed = needed
        self.found = found


class UndefinedRatio(RiskError):
    """A ratio's denominator is zero."""


class InvalidLevel(RiskError):
    """A confidence level is not between 0 and 1."""


def asset_returns(returns: ArrayLike, *, least: int = 1) -> FloatArray:
    """Check simple returns of several assets.

    Parameters
    ----------
    returns : array_like of float, shape (n_observations, n_assets)
        0.01 is +1 %. NaN is refused: a gap has to be dealt with where prices become returns.
    least : int
        Fewest observations.

    Returns
    -------
    ndarray of float64, shape (n_observations, n_assets)

    Raises
    ------
    InvalidReturns
        Another shape, no asset, a value that is not finite, or one below -1.
    NotEnoughObservations
        Fewer than `least`.
    """
    return _checked(returns, dimensions=2, least=least)


def return_series(returns: ArrayLike, *, least: int = 1) -> FloatArray:
    """Check simple returns of one asset or portfolio, shape (n_observations,); as :func:`asset_returns`."""
    return _checked(returns, dimensions=1, least=least)


def portfolio_returns(returns: ArrayLike, weights: ArrayLike) -> FloatArray:
    """Return what a portfolio earns that is brought back to its weights each period.

    Parameters
    ----------
    returns : array_like of float, shape (n_observations, n_assets)
    weights : array_like of float, shape (n_assets,)
        Shares of equity; what is missing to 1 is cash and earns nothing.

    Returns
    -------
    ndarray of float64, shape (n_observations,)

    Raises
    ------
    InvalidReturns
        As :func:`asset_returns`, or when the number of weights is another one.
    """
    checked = asset_returns(returns)
    return checked @ asset_weights(weights, assets=checked.shape[1])


def asset_weights(weights: ArrayLike, *, assets: int) -> FloatArray:
    """Check one finite weight per asset.

    Raises
    ------
    InvalidReturns
        When they are not.
    """
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != (assets,):
        raise InvalidReturns(f"needs one weight for each of {assets} assets, found shape {found.shape}")
    if not np.isfinite(found).all():
        raise InvalidReturns("weights must be finite")
    return found


def require_level(level: float) -> float:
    """Return a confidence level if it is strictly between 0 and 1.

    Raises
    ------
    InvalidLevel
        It is not.
    """
    if not (math.isfinite(level) and 0.0 < level < 1.0):
        raise InvalidLevel(f"a confidence level must be between 0 and 1, was {level}")
    return level


def require_periods(periods_per_year: float) -> float:
    """Return a number of periods per year if it is positive: 365 for daily figures of crypto assets.

    Raises
    ------
    RiskError
        It is not.
    """
    if not (math.isfinite(periods_per_year) and periods_per_year > 0):
        raise RiskError(f"periods_per_year must be positive, was {periods_per_year}")
    return periods_per_year


def stands_still(deviation: float, returns: FloatArray) -> bool:
    """Tell whether a deviation is rounding noise of float64 and not movement."""
    return deviation <= _NO_MOVEMENT * max(1.0, float(np.abs(returns).max()))


def simple_returns(prices: ArrayLike) -> FloatArray:
    """Return the simple returns between consecutive prices, along the first axis.

    Parameters
    ----------
    prices : array_like of float, shape (n,) or (n, n_assets)
        Positive and finite.

    Returns
    -------
    ndarray of float64, shape (n - 1,) or (n - 1, n_assets)

    Raises
    ------
    InvalidReturns
        A price is not positive and finite.
    NotEnoughObservations
        Fewer than two prices.
    """
    found = np.asarray(prices, dtype=np.float64)
    if found.ndim not in (1, 2):
        raise InvalidReturns(f"prices must have one or two dimensions, found {found.ndim}")
    if len(found) < 2:  # noqa: PLR2004 - a return lies between two prices
        raise NotEnoughObservations(2, len(found))
    if not (np.isfinite(found) & (found > 0)).all():
        raise InvalidReturns("prices must be positive and finite")
    return np.asarray(found[1:] / found[:-1] - 1.0)


def _checked(returns: Any, *, dimensions: int, least: int) -> FloatArray:
    try:
        found = np.asarray(returns, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidReturns("returns must be numbers in rows of equal length") from error
    if found.ndim != dimensions:
        raise InvalidReturns(f"returns must have {dimensions} dimensions, found shape {found.shape}")
    if dimensions == 2 and found.shape[1] == 0:  # noqa: PLR2004 - assets are the second dimension
        raise InvalidReturns("returns of at least one asset are needed")
    if len(found) < least:
        raise NotEnoughObservations(least, len(found))
    if not np.isfinite(found).all():
        raise InvalidReturns("returns must be finite; a gap has to be dealt with before")
    if found.size and found.min() < -1.0:
        raise InvalidReturns(f"a return cannot be below -1, was {found.min():g}")
    return found
