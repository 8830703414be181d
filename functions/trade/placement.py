"""Placing an order: commit it, send it, book the answer.

The order and the claim of its Idempotency-Key are committed together before the exchange is called,
the answer and what the request is told afterwards. A process that dies in between leaves an order
that a retry of the request, or order synchronisation, settles by asking the exchange.
"""

import asyncio
import time
from dataclasses import dataclass

import orjson
from starlette.responses import Response
from uuid_utils.compat import uuid7

from alphapulse.data import idempotency, queries
from alphapulse.domain.orders import Side, client_order_id
from alphapulse.domain.quotes import PriceQuote
from alphapulse.runtime.http import replay_of
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.trading import dispatch
from alphapulse.trading.account import load_account
from alphapulse.trading.settlement import cash_currency, load_trade, lock_account, reserve_cash, settle
from alphapulse.trading.trades import Trade
from alphapulse.trading.venues import Venues
from alphapulse.venues.protocol import Venue
from functions.trade import admission
from functions.trade.admission import Draft
from functions.trade.refusals import RequestInProgress
from functions.trade.schemas import OrderRequest

#: Longer than an abandoned claim is leased for, so that a retry after a crash gets its answer.
WAIT_SECONDS = dispatch.SUBMIT_GRACE.total_seconds() + 2
_CREATED = 201
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.02, 0.25
# New positions may appear between two tries only as fast as orders of one account are checked.
_MOST_QUOTE_ROUNDS = 4

sql = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Key:
    """The request's Idempotency-Key and what it is bound to."""

    text: str
    fingerprint: bytes


class _QuotesMissing(Exception):
    """The account holds symbols whose price was not fetched; the transaction was for nothing."""

    def __init__(self, symbols: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(symbols)))
        self.symbols = symbols


@dataclass(frozen=True, slots=True)
class _Committed:
    """An order in the database; `fresh` if this very request put it there, so that it may send it."""

    trade: Trade
    fresh: bool


async def place(scope: Scope, venues: Venues, request: OrderRequest, *, key: Key | None) -> Response:
    """Place an order and return the answer; the first answer again for a key that had one.

    Raises
    ------
    FunctionError
        A refusal of `functions.trade.refusals`; nothing was stored.
    """
    venue = venues.account(request.exchange, scope.tenant_id)
    order = await admission.draft(venue, request)
    committed = await _commit(scope, venue, order, key)
    if isinstance(committed, Response):
        return committed
    outcome: dispatch.Outcome | None = None
    if committed.fresh:
        outcome = await dispatch.send(venue, committed.trade, now=scope.now)
    elif not committed.trade.status.is_final:
        outcome = await dispatch.ask(venue, committed.trade, now=scope.now)
    async with scope.transaction() as work:
        trade = committed.trade
        if outcome is not None:
            trade = await settle(work, trade.id, outcome, venue=venue)
        body = orjson.dumps(trade.to_json())
        if key is not None:
            await idempotency.store(work.session, key.text, status=_CREATED, body=body)
    return Response(body, status_code=_CREATED, media_type="application/json")


async def _commit(scope: Scope, venue: Venue, order: Draft, key: Key | None) -> _Committed | Response:
    """Claim the key and commit the order; wait while another request with the key is at work."""
    quotes = {order.symbol: order.last.quote}
    rounds, pause = 0, _FIRST_POLL_SECONDS
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            async with scope.transaction() as work:
                claim = await _claim(work, key)
                if not isinstance(claim, idempotency.InProgress):
                    replay = replay_of(claim)
                    return replay or await _admit(
                        work, venue, order, key, quotes=quotes, complete=rounds == _MOST_QUOTE_ROUNDS
                    )
        except _QuotesMissing as missing:
            rounds += 1
            found = await venue.tickers(sorted(missing.symbols))
            quotes |= {symbol: ticker.quote for symbol, ticker in found.items()}
            continue
        if time.monotonic() > deadline:
            raise RequestInProgress("the first request with this Idempotency-Key is still running")
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_POLL_SECONDS)


async def _claim(work: TenantWork, key: Key | None) -> idempotency.Claim:
    if key is None:
        return idempotency.Fresh()
    return await idempotency.claim(
        work.session,
        key.text,
        fingerprint=key.fingerprint,
        operation="POST /trades",
        lease=dispatch.SUBMIT_GRACE,
    )


async def _admit(
    work: TenantWork,
    venue: Venue,
    order: Draft,
    key: Key | None,
    *,
    quotes: dict[str, PriceQuote],
    complete: bool,
) -> _Committed:
    await lock_account(work, venue.name)
    if key is not None and (earlier := await _earlier(work, key)) is not None:
        return _Committed(earlier, fresh=False)
    account = await load_account(work.session, now=work.now)
    missing = account.exposed_symbols - quotes.keys()
    if missing and order.side is Side.BUY and not complete:
        raise _QuotesMissing(missing)
    tier = work.principal.tier
    admission.check_account(order, account, venue=venue, quotes=quotes, tier=tier, now=work.now)
    return _Committed(await _insert(work, venue, order, key), fresh=True)


async def _earlier(work: TenantWork, key: Key) -> Trade | None:
    trade_id = await sql.trade_of_client_order_id(
        work.session,
        tenant_id=work.tenant_id.value,
        client_order_id=client_order_id(work.tenant_id.value, key.text),
    )
    return None if trade_id is None else await load_trade(work, trade_id)


async def _insert(work: TenantWork, venue: Venue, order: Draft, key: Key | None) -> Trade:
    trade_id, now = uuid7(), work.now
    await sql.insert_trade(
        work.session,
        tenant_id=work.tenant_id.value,
        trade_id=trade_id,
        client_order_id=str(trade_id) if key is None else client_order_id(work.tenant_id.value, key.text),
        exchange=venue.name,
        symbol=order.symbol,
        side=order.side.value,
        type=order.type.value,
        time_in_force=order.time_in_force.value,
        quantity=order.quantity,
        price=order.price,
        reference_price=order.reference_price,
        fee_currency=order.symbol.partition("-")[2],
        created_by=work.principal.user_id,
        now=now,
    )
    await reserve_cash(work, venue=venue, currency=cash_currency(order.symbol))
    trade = await load_trade(work, trade_id)
    await work.emit("trade.submitted", trade.to_json(), correlation_id=str(trade.id))
    return trade
