"""Placing an order: commit it, send it, book the answer.

The order and the claim of its Idempotency-Key are committed together before the exchange is called,
the answer and what the request is told afterwards. A process that dies in between leaves an order
that a retry of the request, or order synchronisation, settles by asking the exchange.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass

import orjson
from starlette.responses import Response
from uuid_utils.compat import uuid7

from alphapulse.data import idempotency, queries
from alphapulse.domain.money import ZERO
from alphapulse.domain.orders import Side, client_order_id
from alphapulse.domain.quotes import PriceQuote
from alphapulse.runtime.errors import FunctionError
from alphapulse.runtime.http import replay_of
from alphapulse.runtime.problems import problem_response
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.trading import dispatch
from alphapulse.trading.account import load_account
from alphapulse.trading.credentials.records import require_usable, require_usable_now
from alphapulse.trading.settlement import cash_currency, load_trade, lock_account, settle
from alphapulse.trading.trades import Trade
from alphapulse.trading.venues import Venues
from alphapulse.venues.protocol import Venue
from functions.trade import admission
from functions.trade.admission import Draft
from functions.trade.orderer import Orderer
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
class Committed:
    """An order in the database; `fresh` if this very request put it there, so that it may send it."""

    trade: Trade
    fresh: bool


async def place(
    scope: Scope, venues: Venues, request: OrderRequest, *, key: Key | None, orderer: Orderer
) -> Response:
    """Place an order and return the answer; the first answer again for a key that had one.

    Raises
    ------
    FunctionError
        A refusal of `functions.trade.refusals`; nothing was stored.
    """
    try:
        await require_usable_now(scope, request.exchange)
        venue = venues.account(request.exchange, scope.tenant_id)
        order = await admission.draft(venue, request)
    except FunctionError as refusal:
        # What was answered before stays the answer, whatever has become of symbol or price.
        return await _first_answer(scope, key, refusal)
    committed = await Placement(scope, venue, order, key=key, orderer=orderer).commit()
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


async def keep_refusal(scope: Scope, key: Key, refusal: FunctionError) -> Response | None:
    """Store a refusal as the answer of its key, so that asking again ends alike; return what counts.

    Returns
    -------
    Response or None
        The refusal, or the answer that was there before; None when an order was committed and its answer
        is still to come, which order synchronisation brings.

    Raises
    ------
    RequestInProgress
        Another request with the key is at work.
    """
    async with scope.transaction() as work:
        claim = await _claim(work, key)
        if isinstance(claim, idempotency.InProgress):
            raise RequestInProgress("the first request with this Idempotency-Key is still running")
        replay = replay_of(claim)
        if replay is not None:
            return replay
        if await _trade_of(work, key) is not None:
            return None
        answer = problem_response(refusal, instance="/trades", trace_id=scope.trace.trace_id)
        await idempotency.store(work.session, key.text, status=answer.status_code, body=bytes(answer.body))
        return answer


async def _trade_of(work: TenantWork, key: Key) -> uuid.UUID | None:
    tenant_id = work.tenant_id.value
    found: uuid.UUID | None = await sql.trade_of_client_order_id(
        work.session, tenant_id=tenant_id, client_order_id=client_order_id(tenant_id, key.text)
    )
    return found


async def _first_answer(scope: Scope, key: Key | None, refusal: FunctionError) -> Response:
    if key is None:
        raise refusal
    async with scope.transaction() as work:
        replay = replay_of(await _claim(work, key))
        if replay is not None:
            return replay
        # Either way the claim is rolled back.
        if await _trade_of(work, key) is not None:
            raise RequestInProgress("the first request with this Idempotency-Key left an order") from refusal
        raise refusal


async def _claim(work: TenantWork, key: Key) -> idempotency.Claim:
    return await idempotency.claim(
        work.session,
        key.text,
        fingerprint=key.fingerprint,
        operation="POST /trades",
        lease=dispatch.SUBMIT_GRACE,
    )


class Placement:
    """One request's way to a committed order."""

    def __init__(
        self, scope: Scope, venue: Venue, order: Draft, *, key: Key | None, orderer: Orderer
    ) -> None:
        self._scope = scope
        self._venue = venue
        self._order = order
        self._key = key
        self._orderer = orderer
        self._quotes: dict[str, PriceQuote] = {order.symbol: order.last.quote}
        self._quote_rounds = 0
        tenant = scope.tenant_id.value
        self._client_order_id = str(uuid7()) if key is None else client_order_id(tenant, key.text)

    async def commit(self) -> Committed | Response:
        """Claim the key and commit the order; wait while another request with the key is at work."""
        pause, deadline = _FIRST_POLL_SECONDS, time.monotonic() + WAIT_SECONDS
        while True:
            try:
                async with self._scope.transaction() as work:
                    done = await self._attempt(work)
            except _QuotesMissing as missing:
                await self._fetch(missing.symbols)
                continue
            if done is not None:
                return done
            if time.monotonic() > deadline:
                raise RequestInProgress("the first request with this Idempotency-Key is still running")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_POLL_SECONDS)

    async def _attempt(self, work: TenantWork) -> Committed | Response | None:
        """Return None when another request with the key is at work."""
        if self._key is not None:
            claim = await _claim(work, self._key)
            if isinstance(claim, idempotency.InProgress):
                return None
            replay = replay_of(claim)
            if replay is not None:
                return replay
            if isinstance(claim, idempotency.Fresh) and claim.taken_over:
                earlier = await self._earlier(work)
                if earlier is not None:
                    return earlier
        return await self._admit(work)

    async def _admit(self, work: TenantWork) -> Committed:
        await lock_account(work, self._venue.name)
        # Here, where nothing is waited for any more.
        self._orderer.require_in_time(work.now)
        # Again: a key that is being removed waits for this lock.
        await require_usable(work, self._venue.name)
        account = await load_account(work.session, now=work.now)
        missing = account.exposed_symbols - self._quotes.keys()
        if missing and self._order.side is Side.BUY and self._quote_rounds < _MOST_QUOTE_ROUNDS:
            raise _QuotesMissing(missing)
        admission.check_account(
            self._order,
            account,
            venue=self._venue,
            quotes=self._quotes,
            tier=self._orderer.tier,
            now=work.now,
        )
        trade = await self._insert(work)
        if trade is None:
            # The key was claimed before, so long ago that its first answer is forgotten.
            earlier = await self._earlier(work)
            if earlier is None:
                raise RequestInProgress("the first request with this Idempotency-Key is still running")
            return earlier
        await work.emit("trade.submitted", trade.to_json(), correlation_id=str(trade.id))
        return Committed(trade, fresh=True)

    async def _earlier(self, work: TenantWork) -> Committed | None:
        trade_id = None if self._key is None else await _trade_of(work, self._key)
        return None if trade_id is None else Committed(await load_trade(work, trade_id), fresh=False)

    async def _insert(self, work: TenantWork) -> Trade | None:
        order = self._order
        row = await sql.insert_trade(
            work.session,
            tenant_id=work.tenant_id.value,
            trade_id=uuid7(),
            client_order_id=self._client_order_id,
            exchange=self._venue.name,
            symbol=order.symbol,
            side=order.side.value,
            type=order.type.value,
            time_in_force=order.time_in_force.value,
            quantity=order.quantity,
            price=order.price,
            reference_price=order.reference_price,
            fee_currency=order.symbol.partition("-")[2],
            currency=cash_currency(order.symbol),
            cost=order.cost(self._venue) if order.side is Side.BUY else ZERO,
            created_by=self._orderer.user_id,
            now=work.now,
        )
        return None if row is None else Trade.from_row(row)

    async def _fetch(self, symbols: frozenset[str]) -> None:
        self._quote_rounds += 1
        found = await self._venue.tickers(sorted(symbols))
        self._quotes |= {symbol: ticker.quote for symbol, ticker in found.items()}
