"""A tenant's risk limits: their defaults, the bounds they may be set within, and how a breach is told."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from alphapulse.domain.money import ZERO, decimal_text

_SHARES: Final = ("max_position_pct", "daily_loss_pct", "max_drawdown_pct", "var_warning_pct")
_LONGEST_PRICE_AGE: Final = 300


class InvalidLimits(ValueError):
    """A limit is outside what the tier allows."""


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """A tenant's limits; shares are fractions of equity (0.20 is 20 %).

    Attributes
    ----------
    max_position_pct : Decimal
        Value of one symbol, open orders included.
    max_leverage : Decimal
        Value of all positions and open buys, as a multiple of equity.
    daily_loss_pct : Decimal
        Loss since the start of the day, of the equity at its start.
    max_drawdown_pct : Decimal
        Fall of the equity from its peak.
    var_warning_pct : Decimal
        95 % one-day value at risk that is worth a warning; refuses nothing.
    price_max_age_seconds : int
        Older prices are stale.
    max_open_positions : int or None
        Number of symbols held or being bought; none means unlimited.
    """

    max_position_pct: Decimal = Decimal("0.20")
    max_leverage: Decimal = Decimal(1)
    daily_loss_pct: Decimal = Decimal("0.05")
    max_drawdown_pct: Decimal = Decimal("0.20")
    var_warning_pct: Decimal = Decimal("0.05")
    price_max_age_seconds: int = 30
    max_open_positions: int | None = None


@dataclass(frozen=True, slots=True)
class LimitBreach:
    """Why an order is refused.

    Attributes
    ----------
    limit : str
        A field of :class:`RiskLimits`, ``available_quantity`` (a sell beyond what is held),
        ``price_age_seconds`` (a stale price), or what is missing: ``price``, ``portfolio``, ``equity``,
        ``day_pnl``, ``peak_equity``.
    value, bound : Decimal or None
        What was found and what is allowed; None where a figure is missing.
    reason : str
        One sentence for people.
    """

    limit: str
    value: Decimal | None
    bound: Decimal | None
    reason: str


def default_limits(*, max_leverage: Decimal) -> RiskLimits:
    """Return a new tenant's limits: the product's defaults with the leverage of its tier."""
    return RiskLimits(max_leverage=max_leverage)


def validate_limits(limits: RiskLimits, *, max_leverage: Decimal) -> None:
    """Check limits a tenant asks for.

    Parameters
    ----------
    limits : RiskLimits
        What is asked for.
    max_leverage : Decimal
        The most the tenant's tier allows.

    Raises
    ------
    InvalidLimits
        Naming the limit, what was found and what is allowed.
    """
    for name in _SHARES:
        share = getattr(limits, name)
        if not ZERO < share <= 1:
            raise InvalidLimits(f"{name} must be above 0 and at most 1, was {decimal_text(share)}")
    if not ZERO < limits.max_leverage <= max_leverage:
        raise InvalidLimits(
            f"max_leverage must be above 0 and at most {decimal_text(max_leverage)} in this tier, "
            f"was {decimal_text(limits.max_leverage)}"
        )
    if not 1 <= limits.price_max_age_seconds <= _LONGEST_PRICE_AGE:
        raise InvalidLimits(
            f"price_max_age_seconds must be 1 to {_LONGEST_PRICE_AGE}, was {limits.price_max_age_seconds}"
        )
    if limits.max_open_positions is not None and limits.max_open_positions < 1:
        raise InvalidLimits(f"max_open_positions must be at least 1, was {limits.max_open_positions}")
