"""How large a position should be.

Shares of equity are floats, as all statistics are; quantities and amounts of money are Decimal.

References
----------
.. [1] J. L. Kelly, "A New Interpretation of Information Rate", Bell System Technical Journal 35(4), 1956.
.. [2] E. O. Thorp, "The Kelly Criterion in Blackjack, Sports Betting, and the Stock Market", 2006.
.. [3] R. Vince, "The Mathematics of Money Management", 1992 (fixed fractional).
"""

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from alphapulse.domain.instruments import Instrument
from alphapulse.domain.money import ZERO, decimal_text, exact

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from alphapulse.domain.indicators import FloatArray


class InvalidSizing(ValueError):
    """A size cannot be computed from what was given; the message says why."""


def kelly_fraction(
    win_probability: float, payoff_ratio: float, *, fraction: float = 1.0, cap: float = 1.0
) -> float:
    """Return the share of equity that makes it grow fastest in a bet that is won or lost [1]_.

    Parameters
    ----------
    win_probability : float
        In [0, 1].
    payoff_ratio : float
        What is won per unit lost; positive.
    fraction : float
        Share of full Kelly that is taken, in [0, 1]: half Kelly gives up a quarter of the growth for half
        of the deviation.
    cap : float
        Largest share of equity; at least 0.

    Returns
    -------
    float
        ``fraction * (p - (1 - p) / b)``, not below 0 and not above `cap`: .6 at 1 is .2, .5 at 2 is .25.
    """
    _require(0.0 <= win_probability <= 1.0, "win_probability must be within [0, 1]", win_probability)
    _require(
        math.isfinite(payoff_ratio) and payoff_ratio > 0.0, "payoff_ratio must be positive", payoff_ratio
    )
    _require_fraction(fraction, cap)
    full = win_probability - (1.0 - win_probability) / payoff_ratio
    return min(max(fraction * full, 0.0), cap)


def kelly_weights(
    expected_returns: "ArrayLike", covariance: "ArrayLike", *, fraction: float = 1.0, cap: float | None = None
) -> "FloatArray":
    """Return the shares of equity ``fraction * Sigma^-1 mu`` of continuous Kelly [2]_.

    Parameters
    ----------
    expected_returns : array_like of float, shape (n_assets,)
        Above the risk-free rate, per period.
    covariance : array_like of float, shape (n_assets, n_assets)
        Of the same period.
    fraction : float
        In [0, 1].
    cap : float, optional
        Largest sum of the shares' absolute values; all are lowered alike to keep it.

    Returns
    -------
    ndarray of float64, shape (n_assets,)
        Negative for an asset to be sold short.

    Raises
    ------
    InvalidSizing
        Shapes that do not fit, values that are not finite, or a covariance that is not positive definite.
    """
    import numpy as np  # noqa: PLC0415 - the other functions of this module do without it

    _require_fraction(fraction, math.inf if cap is None else cap)
    mean = np.asarray(expected_returns, dtype=np.float64)
    matrix = np.asarray(covariance, dtype=np.float64)
    if mean.ndim != 1 or matrix.shape != (len(mean), len(mean)):
        raise InvalidSizing(f"{mean.shape} expected returns do not fit a covariance of {matrix.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(matrix).all()):
        raise InvalidSizing("expected returns and covariance must be finite")
    try:
        lower = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError as error:
        raise InvalidSizing("the covariance is not positive definite; shrink it first") from error
    if np.square(np.diag(lower)).min() <= len(mean) * np.finfo(np.float64).eps * np.diag(matrix).max():
        raise InvalidSizing("the covariance is singular to working precision; shrink it first")
    shares = fraction * np.linalg.solve(matrix, mean)
    total = float(np.abs(shares).sum())
    return np.asarray(shares if cap is None or total <= cap else shares * (cap / total))


def fixed_fractional_quantity(
    equity: Decimal, *, risk_pct: Decimal, entry: Decimal, stop: Decimal, instrument: Instrument
) -> Decimal:
    """Return the quantity that loses a share of equity when its stop is reached [3]_.

    Parameters
    ----------
    equity : Decimal
        In the quote currency.
    risk_pct : Decimal
        Share of equity that may be lost, in percent, in (0, 100].
    entry, stop : Decimal
        Positive and different; the stop of a short position is above its entry.
    instrument : Instrument
        For the lot.

    Returns
    -------
    Decimal
        ``equity * risk_pct / 100 / |entry - stop|``, rounded down to the lot; 0 when equity is not positive.
    """
    _require(ZERO < risk_pct <= 100, "risk_pct must be within (0, 100]", risk_pct)  # noqa: PLR2004 - percent
    _require(entry > 0, "entry must be positive", entry)
    _require(stop > 0, "stop must be positive", stop)
    _require(entry != stop, "stop must differ from entry", stop)
    if equity <= 0:
        return ZERO
    with exact():
        quantity = equity * risk_pct / 100 / abs(entry - stop)
    return instrument.round_quantity(quantity)


def volatility_target_fraction(
    target_volatility: float, forecast_volatility: float, *, cap: float = 1.0
) -> float:
    """Return the share of equity at which a position's volatility is the target, at most `cap`.

    Both volatilities are of the same period; the forecast must be positive.
    """
    _require(
        math.isfinite(target_volatility) and target_volatility >= 0.0,
        "target_volatility must be at least 0",
        target_volatility,
    )
    _require(
        math.isfinite(forecast_volatility) and forecast_volatility > 0.0,
        "forecast_volatility must be positive",
        forecast_volatility,
    )
    _require_fraction(1.0, cap)
    return min(target_volatility / forecast_volatility, cap)


def _require_fraction(fraction: float, cap: float) -> None:
    _require(0.0 <= fraction <= 1.0, "fraction must be within [0, 1]", fraction)
    _require(cap >= 0.0, "cap must be at least 0", cap)


def _require(holds: object, rule: str, value: float | Decimal) -> None:
    if not holds:
        shown = decimal_text(value) if isinstance(value, Decimal) and value.is_finite() else value
        raise InvalidSizing(f"{rule}, was {shown}")
