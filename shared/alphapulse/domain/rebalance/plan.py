"""What a rebalance is asked with, and what comes out.

Errors
------
RebalanceError
+-- InvalidTargets   weights that are negative, sum to more than 1, or are not finite
+-- PriceMissing     a symbol that is held or wanted has no price or no rules
`-- NothingToInvest  there is no equity
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from alphapulse.domain.instruments import Instrument
from alphapulse.domain.money import ZERO
from alphapulse.domain.orders import Side

WITHIN_DRIFT: Final = "within_drift"
BELOW_MIN_NOTIONAL: Final = "below_min_notional"
BELOW_LOT: Final = "below_lot"
NO_CASH: Final = "no_cash"


class RebalanceError(ValueError):
    """There is no plan; the message says why."""


class InvalidTargets(RebalanceError):
    """Target weights are negative, sum to more than 1, or are not finite."""


class PriceMissing(RebalanceError):
    """A symbol that is held or wanted has no price, or no rules."""


class NothingToInvest(RebalanceError):
    """The account is worth nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceTerms:
    """How a rebalance is done.

    Attributes
    ----------
    fee_rate : Decimal
        Of an order's notional, such as 0.001 for 10 basis points.
    cash_buffer : Decimal
        Share of equity that stays cash, in [0, 1).
    drift : Decimal
        A weight that is this close to its target is left alone, in [0, 1).
    min_notional : Decimal
        No order below it, beside what the exchange demands.
    max_turnover : Decimal or None
        Most that may be bought and sold together, as a share of equity; all orders are made smaller alike.
    """

    fee_rate: Decimal = Decimal("0.001")
    cash_buffer: Decimal = ZERO
    drift: Decimal = ZERO
    min_notional: Decimal = ZERO
    max_turnover: Decimal | None = None

    def __post_init__(self) -> None:
        for name, most in (("fee_rate", Decimal("0.1")), ("cash_buffer", Decimal(1)), ("drift", Decimal(1))):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or not ZERO <= value < most:
                raise RebalanceError(f"{name} must be at least 0 and below {most}, was {value}")
        if not self.min_notional.is_finite() or self.min_notional < 0:
            raise RebalanceError(f"min_notional must not be negative, was {self.min_notional}")
        if self.max_turnover is not None and not (self.max_turnover.is_finite() and self.max_turnover > 0):
            raise RebalanceError(f"max_turnover must be positive, was {self.max_turnover}")


@dataclass(frozen=True, slots=True)
class Market:
    """Last price, in the account's currency, and rules of a symbol."""

    price: Decimal
    instrument: Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What there is, in one currency.

    Attributes
    ----------
    cash : Decimal
        Free; at least 0.
    quantities : mapping of symbol to Decimal
        Held, at least 0; what open orders promise belongs to neither.
    """

    cash: Decimal
    quantities: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOrder:
    """One order: whole lots at the last price."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    notional: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Skipped:
    """A symbol that is off its target and is not traded, and why: one of the codes above."""

    symbol: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalancePlan:
    """Orders in the order they are to be placed: sells first, each kind by falling notional.

    Attributes
    ----------
    orders : tuple of PlannedOrder
    skipped : tuple of Skipped
        In order of symbol.
    equity_before, equity_after : Decimal
        At the prices of the plan; their difference is exactly the fees.
    cash_after : Decimal
        Never negative.
    fees : Decimal
    turnover : Decimal
        Notional of all orders as a share of the equity before.
    weights_before, weights_after : mapping of symbol to Decimal
        Shares of the equity before and after.
    """

    orders: tuple[PlannedOrder, ...]
    skipped: tuple[Skipped, ...]
    equity_before: Decimal
    equity_after: Decimal
    cash_after: Decimal
    fees: Decimal
    turnover: Decimal
    weights_before: Mapping[str, Decimal]
    weights_after: Mapping[str, Decimal]
