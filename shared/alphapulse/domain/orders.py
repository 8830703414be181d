"""An order's life: its states, the transitions between them, its identity, and its fills."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self
from uuid import UUID, uuid5

from alphapulse.domain.money import ZERO, Money, decimal_text, exact, quantise

#: Name space of client order ids; changing it would change every derived id.
CLIENT_ORDER_NAMESPACE: Final = UUID("6d0a3d5e-0c53-5b55-9a64-7a2f4b1d9c30")


class OrderError(ValueError):
    """Root of what can be wrong with an order or its fills."""


class IllegalTransition(OrderError):
    """An order was asked to go to a state that its present state does not lead to."""


class InconsistentFills(OrderError):
    """Fills contradict each other or exceed what was ordered."""


class _Lowercase(StrEnum):
    # Exchanges and their users write BUY, GTC and so on; the contract's form is lower case.
    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        folded = value.lower() if isinstance(value, str) else None
        return next((member for member in cls if member.value == folded), None)


class Side(_Lowercase):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(_Lowercase):
    """How an order meets the market."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_LIMIT = "stop_limit"


class TimeInForce(_Lowercase):
    """How long an order waits: until cancelled, only now, or now and whole."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class OrderStatus(StrEnum):
    """Where an order stands; ``unknown`` means that the venue's answer was lost."""

    NEW = "new"
    PENDING_SUBMIT = "pending_submit"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return not TRANSITIONS[self]

    @property
    def is_working(self) -> bool:
        """Whether the order may still be filled, so that it counts in limits."""
        return not self.is_final


_OUTCOMES: Final = frozenset(
    {
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
    }
)

#: Every state an order may go to from each state. A state leads to itself only where a further event may
#: leave it unchanged: another partial fill, another question to a venue that does not answer.
TRANSITIONS: Final[Mapping[OrderStatus, frozenset[OrderStatus]]] = {
    # Refused or withdrawn before the venue was called: it is still ours alone.
    OrderStatus.NEW: frozenset({OrderStatus.PENDING_SUBMIT, OrderStatus.CANCELLED, OrderStatus.REJECTED}),
    OrderStatus.PENDING_SUBMIT: _OUTCOMES | {OrderStatus.OPEN, OrderStatus.UNKNOWN},
    # A cancellation whose answer was lost makes an open order unknown again.
    OrderStatus.OPEN: _OUTCOMES | {OrderStatus.UNKNOWN},
    OrderStatus.PARTIALLY_FILLED: _OUTCOMES | {OrderStatus.UNKNOWN},
    # Never back to pending_submit: no order is sent twice.
    OrderStatus.UNKNOWN: _OUTCOMES | {OrderStatus.OPEN, OrderStatus.UNKNOWN},
    OrderStatus.FILLED: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
    OrderStatus.REJECTED: frozenset(),
    OrderStatus.EXPIRED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of an order, as the venue reports it.

    Attributes
    ----------
    execution_id : str
        The venue's id of the execution, unique within the order.
    quantity, price : Decimal
        Positive; in base and quote currency.
    fee : Money
        What the venue took, in the currency it took it in.
    executed_at : datetime
        Aware, UTC.
    """

    execution_id: str
    quantity: Decimal
    price: Decimal
    fee: Money
    executed_at: datetime


@dataclass(frozen=True, slots=True)
class FilledState:
    """What an order's fills add up to.

    Attributes
    ----------
    filled_quantity : Decimal
        Sum of the quantities.
    average_price : Decimal or None
        Quantity-weighted price, to 18 places half to even; none before the first fill.
    fees : tuple of Money
        One amount per currency that fees were taken in, in order of currency.
    status : OrderStatus
        ``open``, ``partially_filled`` or ``filled``, as the quantity says.
    """

    filled_quantity: Decimal
    average_price: Decimal | None
    fees: tuple[Money, ...]
    status: OrderStatus

    def fee_in(self, currency: str) -> Decimal:
        """Return the fees taken in one currency."""
        return next((fee.amount for fee in self.fees if fee.currency == currency), ZERO)


def advance(current: OrderStatus, target: OrderStatus) -> OrderStatus:
    """Return the target state if the table of transitions allows it.

    Raises
    ------
    IllegalTransition
        Naming both states and what would have been possible.
    """
    allowed = TRANSITIONS[current]
    if target in allowed:
        return target
    possible = ", ".join(sorted(allowed)) or "nothing, it is final"
    raise IllegalTransition(f"an order that is {current} cannot become {target}; possible: {possible}")


def client_order_id(tenant_id: UUID, idempotency_key: str) -> str:
    """Derive the id under which an order is known to the venue.

    Parameters
    ----------
    tenant_id : UUID
        Whose order it is.
    idempotency_key : str
        The key of the request that placed it; the same key always yields the same id.

    Returns
    -------
    str
        A UUID (version 5) in its usual text form, which every venue accepts as a client order id.

    Raises
    ------
    OrderError
        When the key is empty.
    """
    if not idempotency_key:
        raise OrderError("an idempotency key must not be empty")
    return str(uuid5(CLIENT_ORDER_NAMESPACE, f"{tenant_id}/{idempotency_key}"))


def fold_fills(fills: Iterable[Fill], *, ordered_quantity: Decimal) -> FilledState:
    """Add up the fills of one order; a fill reported twice counts once.

    Parameters
    ----------
    fills : iterable of Fill
        In any order.
    ordered_quantity : Decimal
        What the order asked for.

    Raises
    ------
    InconsistentFills
        When one execution id comes with two contents, a quantity or price is not positive, or more was
        filled than ordered.
    """
    distinct = _distinct(fills)
    with exact():
        filled = sum((fill.quantity for fill in distinct), ZERO)
        notional = sum((fill.quantity * fill.price for fill in distinct), ZERO)
        average = quantise(notional / filled) if filled else None
    if filled > ordered_quantity:
        raise InconsistentFills(
            f"filled {decimal_text(filled)} of an order for {decimal_text(ordered_quantity)}"
        )
    return FilledState(filled, average, _fees(distinct), _status(filled, ordered_quantity))


def _status(filled: Decimal, ordered: Decimal) -> OrderStatus:
    if filled == ordered:
        return OrderStatus.FILLED
    return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN


def _distinct(fills: Iterable[Fill]) -> list[Fill]:
    by_id: dict[str, Fill] = {}
    for fill in fills:
        if fill.quantity <= 0 or fill.price <= 0:
            raise InconsistentFills(
                f"execution {fill.execution_id} must have positive quantity and price, "
                f"had {decimal_text(fill.quantity)} at {decimal_text(fill.price)}"
            )
        known = by_id.setdefault(fill.execution_id, fill)
        if (known.quantity, known.price, known.fee) != (fill.quantity, fill.price, fill.fee):
            raise InconsistentFills(f"execution {fill.execution_id} was reported with two contents")
    return list(by_id.values())


def _fees(fills: Iterable[Fill]) -> tuple[Money, ...]:
    totals: dict[str, Decimal] = {}
    with exact():
        for fill in fills:
            totals[fill.fee.currency] = totals.get(fill.fee.currency, ZERO) + fill.fee.amount
    return tuple(Money(totals[currency], currency) for currency in sorted(totals))
