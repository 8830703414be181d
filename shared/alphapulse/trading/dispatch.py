"""Talking to a venue about one order: deadlines, and what each way of failing means for the order.

An order is committed before it is sent and is sent at most once. Whoever finds it later without an
answer asks for it by its client order id instead.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.runtime.errors import Conflict, ExchangeFailed
from alphapulse.trading.trades import Trade
from alphapulse.venues.protocol import (
    OrderRefused,
    OutcomeUnknown,
    PriceUnavailable,
    UnknownSymbol,
    Venue,
    VenueOrder,
    VenueUnavailable,
)

VENUE_TIMEOUT_SECONDS = 5.0
#: After its commit an order is sent within `SEND_WITHIN` or not at all, and answered within the
#: timeout. So from `SUBMIT_GRACE` on, an order that the venue does not know will never reach it.
SEND_WITHIN = dt.timedelta(seconds=2)
SUBMIT_GRACE = dt.timedelta(seconds=8)

T = TypeVar("T")


class OrderInFlight(Conflict):
    """The order is on its way to the exchange this moment."""

    code = "order_in_flight"
    title = "Order in flight"
    retry_after_seconds = 2


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """The venue certainly has no such order."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The venue may or may not have done what it was asked."""

    reason: str


Outcome = VenueOrder | NotAccepted | Lost


async def send(venue: Venue, trade: Trade, *, now: dt.datetime) -> Outcome:
    """Send a committed order, once."""
    if now - trade.created_at > SEND_WITHIN:
        return NotAccepted("the order could not be sent in time")
    try:
        return await _in_time(venue.create_order(trade.new_order))
    except OrderRefused as error:
        return NotAccepted(f"{error.code}: {error}")
    except (PriceUnavailable, UnknownSymbol, VenueUnavailable) as error:
        return NotAccepted(str(error))
    except OutcomeUnknown as error:
        return Lost(str(error))


async def cancel(venue: Venue, trade: Trade, *, now: dt.datetime) -> Outcome:
    """Ask the venue to cancel an order.

    Raises
    ------
    OrderInFlight
        The venue does not know the order yet.
    ExchangeFailed
        The venue could not be asked; nothing has changed.
    """
    try:
        return await _in_time(venue.cancel_order(client_order_id=trade.client_order_id, symbol=trade.symbol))
    except OrderRefused as error:
        if error.code != "order_not_found":
            raise ExchangeFailed(f"{trade.exchange} refused to cancel the order: {error}") from error
        return _absent(trade, now=now)
    except VenueUnavailable as error:
        raise ExchangeFailed(f"{trade.exchange} could not be asked: {error}") from error
    except OutcomeUnknown as error:
        return Lost(str(error))


async def ask(venue: Venue, trade: Trade, *, now: dt.datetime) -> Outcome:
    """Ask the venue how an order stands.

    Raises
    ------
    OrderInFlight
        The venue does not know the order yet.
    ExchangeFailed
        The venue could not be asked; nothing has changed.
    """
    try:
        found = await _in_time(venue.order(client_order_id=trade.client_order_id, symbol=trade.symbol))
    except (VenueUnavailable, OutcomeUnknown) as error:
        raise ExchangeFailed(f"{trade.exchange} could not be asked: {error}") from error
    return _absent(trade, now=now) if found is None else found


def _absent(trade: Trade, *, now: dt.datetime) -> NotAccepted:
    if now - trade.created_at < SUBMIT_GRACE:
        raise OrderInFlight("the order is on its way to the exchange; try again in a moment")
    return NotAccepted(f"{trade.exchange} has never received the order")


async def _in_time(request: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(VENUE_TIMEOUT_SECONDS):
            return await request
    except TimeoutError as error:
        raise OutcomeUnknown(f"no answer within {VENUE_TIMEOUT_SECONDS:g} s") from error
    except DatabaseUnavailable as error:
        # The paper exchange's own database: as if the connection to an exchange had broken.
        raise OutcomeUnknown(f"the connection broke: {error}") from error
