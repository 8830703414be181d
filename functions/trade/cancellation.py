"""Cancelling orders."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.responses import Response

from alphapulse.data import idempotency, queries
from alphapulse.domain.orders import OrderStatus
from alphapulse.runtime.errors import FunctionError
from alphapulse.runtime.http import replay_of
from alphapulse.runtime.work import Scope
from alphapulse.trading import dispatch
from alphapulse.trading.settlement import load_trade, settle
from alphapulse.trading.trades import Trade
from alphapulse.trading.venues import Venues
from functions.trade.placement import WAIT_SECONDS, Key
from functions.trade.refusals import OrderNotOpen, RequestInProgress

_OK = 200
_POLL_SECONDS = 0.1
_WITHDRAWN = frozenset({OrderStatus.CANCELLED, OrderStatus.UNKNOWN})

sql = queries.load(__file__)


async def cancel(scope: Scope, venues: Venues, trade_id: uuid.UUID) -> Trade:
    """Cancel an order; cancelling it again changes nothing.

    Returns
    -------
    Trade
        Cancelled; or unknown when the exchange's answer was lost, and then order synchronisation
        finds out.

    Raises
    ------
    NotFound
        There is no such order of this tenant.
    OrderNotOpen
        It has ended otherwise, perhaps this moment.
    OrderInFlight
        It is on its way to the exchange.
    ExchangeFailed
        The exchange could not be asked.
    """
    async with scope.transaction() as work:
        trade = await load_trade(work, trade_id)
    if not trade.status.is_final:
        venue = venues.account(trade.exchange, scope.tenant_id)
        outcome = await dispatch.cancel(venue, trade, now=scope.now)
        async with scope.transaction() as work:
            trade = await settle(work, trade_id, outcome, venue=venue)
    if trade.status not in _WITHDRAWN:
        raise OrderNotOpen(f"the order is {trade.status} and cannot be cancelled")
    return trade


async def cancel_all(scope: Scope, venues: Venues, *, symbol: str | None) -> dict[str, Any]:
    """Cancel every open order, of one symbol if given; one that cannot be cancelled stops no other."""
    async with scope.transaction() as work:
        rows = sql.open_trades(work.session, tenant_id=scope.tenant_id.value, symbol=symbol)
        trade_ids = [uuid.UUID(int=row["id"].int) async for row in rows]
    cancelled, failed = [], []
    for trade_id in trade_ids:
        try:
            cancelled.append((await cancel(scope, venues, trade_id)).to_json())
        except FunctionError as error:
            failed.append({"id": str(trade_id), "code": error.code, "detail": error.detail})
    return {"items": cancelled, "failed": failed}


async def once(
    scope: Scope, key: Key | None, operation: str, act: Callable[[], Awaitable[dict[str, Any]]]
) -> Response:
    """Answer with what `act` returns; for a key that had an answer, with that answer again.

    `act` spans transactions of its own and must be harmless to repeat after a crash.

    Raises
    ------
    RequestInProgress
        The first request with the key takes too long.
    """
    if key is None:
        return _answer(orjson.dumps(await act()))
    replay = await _claimed(scope, key, operation)
    if replay is not None:
        return replay
    try:
        body = orjson.dumps(await act())
    except FunctionError:
        async with scope.transaction() as work:
            await idempotency.release(work.session, key.text)
        raise
    async with scope.transaction() as work:
        await idempotency.store(work.session, key.text, status=_OK, body=body)
    return _answer(body)


async def _claimed(scope: Scope, key: Key, operation: str) -> Response | None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        async with scope.transaction() as work:
            claim = await idempotency.claim(
                work.session,
                key.text,
                fingerprint=key.fingerprint,
                operation=operation,
                lease=dispatch.SUBMIT_GRACE,
            )
        if not isinstance(claim, idempotency.InProgress):
            return replay_of(claim)
        if time.monotonic() > deadline:
            raise RequestInProgress("the first request with this Idempotency-Key is still running")
        await asyncio.sleep(_POLL_SECONDS)


def _answer(body: bytes) -> Response:
    return Response(body, status_code=_OK, media_type="application/json")
