"""A tenant's risk limits: their defaults, the bounds of each tier, and how a breach is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from alphapulse.domain.money import ZERO, decimal_text

TIER_MAX_LEVERAGE: Final[Mapping[str, Decimal]] = {
    "starter": Decimal(1),
    "pro": Decimal(2),
    "enterprise": Decimal(5),
}
#: Open positions included in a tier; none means unlimited.
TIER_MAX_POSITIONS: Final[Mapping[str, int | None]] = {"starter": 5, "pro": 25, "enterprise": None}

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


def default_limits(tier: str) -> RiskLimits:
    """Return a new tenant's limits: the product's defaults with the leverage of the tier."""
    return RiskLimits(max_leverage=TIER_MAX_LEVERAGE[tier])


def validate_limits(limits: RiskLimits, *, tier: str) -> None:
    """Check that limits a tenant asks for are within the bounds of its tier.

    Raises
    ------
    InvalidLimits
        Naming the limit, what was found and what is allowed.
    """
    for name in _SHARES:
        share = getattr(limits, name)
        if not ZERO < share <= 1:
            raise InvalidLimits(f"{name} must be above 0 and at most 1, was {decimal_text(share)}")
    most = TIER_MAX_LEVERAGE[tier]
    if not ZERO < limits.max_leverage <= most:
        raise InvalidLimits(
            f"max_leverage must be above 0 and at most {most} in tier {tier}, "
            f"was {decimal_text(limits.max_leverage)}"
        )
    if not 1 <= limits.price_max_age_seconds <= _LONGEST_PRICE_AGE:
        raise InvalidLimits(
            f"price_max_age_seconds must be 1 to {_LONGEST_PRICE_AGE}, was {limits.price_max_age_seconds}"
        )
    if limits.max_open_positions is not None and limits.max_open_positions < 1:
        raise InvalidLimits(f"max_open_positions must be at least 1, was {limits.max_open_positions}")
