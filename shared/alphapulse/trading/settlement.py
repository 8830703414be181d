"""Book what a venue says about an order: executions, position, cash, status, and the event of it.

Settling the same answer again changes nothing, so whoever learns of it first books it: the request
that sent the order, a retry of it, a cancellation, or order synchronisation.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import reduce
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.money import ACCOUNT_CURRENCY, ZERO, Money, at_par_with_usd, exact
from alphapulse.domain.orders import Fill, OrderStatus, Side, advance, fold_fills
from alphapulse.domain.positions import Position, apply_fill
from alphapulse.runtime.errors import NotFound
from alphapulse.runtime.work import TenantWork
from alphapulse.trading.dispatch import SUBMIT_GRACE, Lost, NotAccepted, Outcome
from alphapulse.trading.trades import Trade, time_text
from alphapulse.venues.protocol import Venue, VenueOrder

sql = queries.load(__file__)

_EVENTS = {
    OrderStatus.FILLED: "trade.filled",
    OrderStatus.PARTIALLY_FILLED: "trade.partially_filled",
    OrderStatus.REJECTED: "trade.rejected",
    OrderStatus.CANCELLED: "trade.cancelled",
    # An order that ended by its own terms; the data's status tells the difference.
    OrderStatus.EXPIRED: "trade.cancelled",
}


def cash_currency(symbol: str) -> str:
    """Return the currency of the balance that a symbol settles against; USD for what is at par with it."""
    quote = symbol.partition("-")[2]
    return ACCOUNT_CURRENCY if at_par_with_usd(quote) else quote


async def lock_account(work: TenantWork, exchange: str) -> None:
    """Wait for other work on the tenant's account at an exchange; held until the transaction ends."""
    await sql.lock_account(work.session, tenant_id=work.tenant_id.value, exchange=exchange)


async def load_trade(work: TenantWork, trade_id: uuid.UUID) -> Trade:
    """Return a trade.

    Raises
    ------
    NotFound
        There is none of this tenant.
    """
    return Trade.from_row(await _row(work, trade_id))


async def unsettled(work: TenantWork) -> list[uuid.UUID]:
    """Return the ids of orders to ask the exchange about, oldest first.

    One that was committed a moment ago is left to the request that is sending it.
    """
    rows = sql.unsettled(
        work.session, tenant_id=work.tenant_id.value, submitted_before=work.now - SUBMIT_GRACE
    )
    return [uuid.UUID(int=row["id"].int) async for row in rows]


async def settle(work: TenantWork, trade_id: uuid.UUID, outcome: Outcome, *, venue: Venue) -> Trade:
    """Bring a trade to what the venue says, in the work's transaction.

    Parameters
    ----------
    work
        Of the trade's tenant.
    trade_id
        Of a trade that was sent to `venue`.
    outcome
        What was learned.
    venue
        The account the trade belongs to.

    Returns
    -------
    Trade
        As it is now; unchanged when it was final before.
    """
    # All changes of an account's orders happen under its lock, so the row itself needs none.
    await lock_account(work, venue.name)
    row = await _row(work, trade_id)
    before = Trade.from_row(row)
    if before.status.is_final:
        return before
    after = _after(before, outcome, work.now)
    fills = after.executions[len(before.executions) :]
    if after.status is before.status and not fills and after.reason == before.reason:
        return before
    if after.status is not before.status or fills:
        advance(before.status, after.status)
    position = reduce(_filled(after.side), fills, _position(row))
    venue_order_id = outcome.venue_order_id if isinstance(outcome, VenueOrder) else None
    await _book(work, after, fills, position=position, venue=venue, venue_order_id=venue_order_id)
    await _announce(work, after)
    work.after_commit(lambda: work.scope.cache.drop("portfolio"))
    return after


def _after(trade: Trade, outcome: Outcome, now: dt.datetime) -> Trade:
    match outcome:
        case NotAccepted(reason=reason):
            return replace(trade, status=OrderStatus.REJECTED, reason=reason, updated_at=now)
        case Lost(reason=reason):
            return replace(trade, status=OrderStatus.UNKNOWN, reason=reason, updated_at=now)
        case VenueOrder():
            return _after_answer(trade, outcome, now)


def _after_answer(trade: Trade, order: VenueOrder, now: dt.datetime) -> Trade:
    known = {fill.execution_id for fill in trade.executions}
    executions = (*trade.executions, *(fill for fill in order.fills if fill.execution_id not in known))
    folded = fold_fills(executions, ordered_quantity=trade.quantity)
    fee_currency = folded.fees[0].currency if folded.fees else trade.fee.currency
    return replace(
        trade,
        # Whole or part is what the fills say; that it ended otherwise only the venue can say.
        status=order.status if order.status.is_final else folded.status,
        executions=executions,
        filled_quantity=folded.filled_quantity,
        average_price=folded.average_price,
        fee=Money(folded.fee_in(fee_currency), fee_currency),
        reason=order.reason,
        updated_at=now,
    )


def _position(row: Mapping[str, Any]) -> Position:
    position = Position(row["symbol"], row["exchange"])
    if row["held"] is None:
        return position
    return replace(
        position, quantity=row["held"], average_price=row["cost"], realised_pnl=row["realised_pnl"]
    )


def _filled(side: Side) -> Callable[[Position, Fill], Position]:
    def after(position: Position, fill: Fill) -> Position:
        return apply_fill(
            position,
            side=side,
            quantity=fill.quantity,
            price=fill.price,
            fee=fill.fee.amount,
            fee_currency=fill.fee.currency,
        )

    return after


def _cash_change(trade: Trade, fills: Sequence[Fill]) -> Decimal:
    quote, change = trade.symbol.partition("-")[2], ZERO
    with exact():
        for fill in fills:
            notional = fill.quantity * fill.price
            change += -notional if trade.side is Side.BUY else notional
            if fill.fee.currency == quote:
                # A fee in the base currency has changed the position instead.
                change -= fill.fee.amount
    return change


async def _book(
    work: TenantWork,
    trade: Trade,
    fills: Sequence[Fill],
    *,
    position: Position,
    venue: Venue,
    venue_order_id: str | None,
) -> None:
    await sql.book(
        work.session,
        tenant_id=work.tenant_id.value,
        trade_id=trade.id,
        exchange=trade.exchange,
        symbol=trade.symbol,
        ids=[uuid7() for _ in fills],
        execution_ids=[fill.execution_id for fill in fills],
        quantities=[fill.quantity for fill in fills],
        prices=[fill.price for fill in fills],
        fee_amounts=[fill.fee.amount for fill in fills],
        fee_currencies=[fill.fee.currency for fill in fills],
        executed_at=[fill.executed_at for fill in fills],
        position_id=uuid7(),
        held=position.quantity,
        cost=position.average_price,
        realised_pnl=position.realised_pnl,
        last_price=fills[-1].price if fills else None,
        price_as_of=fills[-1].executed_at if fills else None,
        status=trade.status.value,
        filled_quantity=trade.filled_quantity,
        average_price=trade.average_price,
        fee_amount=trade.fee.amount,
        fee_currency=trade.fee.currency,
        reason=trade.reason,
        exchange_order_id=venue_order_id,
        final=trade.status.is_final,
        balance_id=uuid7(),
        currency=cash_currency(trade.symbol),
        change=_cash_change(trade, fills),
        cost_rate=venue.cost_rate,
        now=trade.updated_at,
    )


async def _row(work: TenantWork, trade_id: uuid.UUID) -> Mapping[str, Any]:
    row: Mapping[str, Any] | None = await sql.trade(
        work.session, tenant_id=work.tenant_id.value, trade_id=trade_id
    )
    if row is None:
        raise NotFound("there is no such trade")
    return row


async def _announce(work: TenantWork, trade: Trade) -> None:
    if trade.status is OrderStatus.UNKNOWN:
        await work.emit(
            "order.sync.requested", {"requested_at": time_text(work.now), "trade_id": str(trade.id)}
        )
    elif trade.status in _EVENTS:
        await work.emit(_EVENTS[trade.status], trade.to_json(), correlation_id=str(trade.id))
