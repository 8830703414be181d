"""What trading asks of an exchange: one small protocol, and the ways an exchange can fail.

    VenueError
    +-- OrderRefused         the venue answered no; nothing was or will be traded by this request
    +-- UnknownSymbol        the venue does not trade the symbol
    +-- PriceUnavailable     the venue has no price at the moment
    +-- KeyRefused           the venue does not accept the key, or not for this
    +-- VenueUnavailable     the request certainly had no effect (it was never sent, or only read)
    |   `-- VenueRateLimited too many requests; it says how long to wait
    `-- OutcomeUnknown       no answer, a timeout or a 5xx to a request that may have had its effect

Only `OutcomeUnknown` leaves an order in doubt; it is settled later by asking for the order by its
client order id. A venue object belongs to one account of one tenant.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from alphapulse.domain.instruments import Instrument
from alphapulse.domain.orders import Fill, OrderStatus, OrderType, Side, TimeInForce
from alphapulse.domain.quotes import PriceQuote


class VenueError(Exception):
    """Root of what an exchange can answer instead of doing it; the text holds no secret."""


class OrderRefused(VenueError):
    """The venue refused an order or a cancellation.

    Attributes
    ----------
    code : str
        Stable snake_case reason: `insufficient_funds`, `below_minimum`, `order_not_found`, ...
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class UnknownSymbol(VenueError):
    """The venue does not trade the symbol."""


class PriceUnavailable(VenueError):
    """There is no price at the moment."""


class KeyRefused(VenueError):
    """The venue does not accept the key, or not for this request.

    Attributes
    ----------
    code : str
        Stable snake_case reason: `key_refused`, `malformed_secret`, `nonce_refused`.
    """

    def __init__(self, detail: str, *, code: str = "key_refused") -> None:
        super().__init__(detail)
        self.code = code


class VenueUnavailable(VenueError):
    """The venue could not be asked; nothing happened."""


class VenueRateLimited(VenueUnavailable):
    """The venue takes no more requests for a while.

    Attributes
    ----------
    retry_after_seconds : int
        How long.
    """

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(VenueError):
    """The answer was lost; the venue may or may not have done what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """A last price.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    price : Decimal
        In the quote currency.
    as_of : datetime
        When it was true; aware, UTC.
    source : str
        Who says so: an exchange, a file, `simulated`.
    """

    symbol: str
    price: Decimal
    as_of: dt.datetime
    source: str

    @property
    def quote(self) -> PriceQuote:
        """The price as the domain takes it."""
        return PriceQuote(self.price, self.as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """An order to be sent; quantity and price are already whole lots and ticks."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue knows it now.

    Attributes
    ----------
    client_order_id, venue_order_id : str
        Our name for it, and the venue's.
    status : OrderStatus
        Never `new`, `pending_submit` or `unknown`: those are ours.
    fills : sequence of Fill
        All fills so far, oldest first.
    reason : str, optional
        Why it was refused or ended.
    """

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    status: OrderStatus
    fills: Sequence[Fill] = ()
    reason: str | None = None


class Venue(Protocol):
    """One account on one exchange."""

    name: str
    #: What a fill can cost beside its notional at the limit or last price, as a fraction of it: the fee,
    #: and the half spread of a market order. Reserved with the notional of a buy.
    cost_rate: Decimal

    async def instrument(self, symbol: str) -> Instrument:
        """Return the rules of a symbol.

        Raises
        ------
        UnknownSymbol
            The venue does not trade it.
        VenueUnavailable
            The venue could not be asked.
        """

    async def tickers(self, symbols: Sequence[str]) -> Mapping[str, Ticker]:
        """Return last prices; a symbol without one is left out."""

    async def create_order(self, order: NewOrder) -> VenueOrder:
        """Send an order.

        Raises
        ------
        OrderRefused, PriceUnavailable, VenueUnavailable
            It was not accepted and will not be.
        OutcomeUnknown
            It may have been accepted.
        """

    async def cancel_order(self, *, client_order_id: str, symbol: str) -> VenueOrder:
        """Cancel an order; return it as it then is, which may be filled.

        Raises
        ------
        OrderRefused
            `order_not_found`.
        OutcomeUnknown, VenueUnavailable
            As for :meth:`create_order`.
        """

    async def order(self, *, client_order_id: str, symbol: str) -> VenueOrder | None:
        """Return an order by client order id; None when the venue is certain that it has none.

        Raises
        ------
        VenueUnavailable
            The venue could not be asked.
        """

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return the account's open orders."""

    async def balances(self) -> Mapping[str, Decimal]:
        """Return what the account holds, by currency."""
