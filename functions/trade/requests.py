"""Orders that a tenant's own settings ask for, by an event instead of a request.

They pass the same checks as any other order. What is answered first stays the answer: a refusal is kept
under the order's key, so that an event which comes again cannot place what was refused.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from alphapulse.events import Event
from alphapulse.runtime.errors import DependencyDown, FunctionError, NotPermitted, Transient
from alphapulse.runtime.work import Scope
from alphapulse.trading.venues import Venues
from functions.trade import placement
from functions.trade.orderer import Orderer
from functions.trade.placement import Key
from functions.trade.refusals import RequestInProgress
from functions.trade.schemas import OrderRequest

_CREATED: Final = 201
_ORDER_FIELDS: Final = ("symbol", "side", "type", "quantity", "exchange")


async def on_requested(event: Event, scope: Scope, venues: Venues) -> Event | None:
    """Place the order; reply with `trade.refused` when it may not be placed.

    Raises
    ------
    Transient
        What is needed to decide does not answer now; the broker asks again until the request expires.
    """
    try:
        answer = await _answer(scope, venues, event.data)
    except RequestInProgress as busy:
        raise DependencyDown(str(busy), retry_after_seconds=busy.retry_after_seconds) from busy
    if answer is None or answer.status_code == _CREATED:
        return None
    return _refused(scope, event.data, orjson.loads(bytes(answer.body)))


async def _answer(scope: Scope, venues: Venues, data: Mapping[str, Any]) -> Response | None:
    key = _key(data)
    try:
        return await _place(scope, venues, data, key)
    except (Transient, RequestInProgress):
        raise
    except FunctionError as refusal:
        return await placement.keep_refusal(scope, key, refusal)


async def _place(scope: Scope, venues: Venues, data: Mapping[str, Any], key: Key) -> Response:
    facts = await scope.resources.facts.tenant(scope.tenant_id)
    if facts is None:
        raise NotPermitted("the tenant is gone and cannot place orders", code="tenant_not_active")
    orderer = Orderer(facts.tier, user_id=None, until=dt.datetime.fromisoformat(data["expires_at"]))
    orderer.require_in_time(scope.now)
    request = OrderRequest.model_validate({name: data[name] for name in _ORDER_FIELDS})
    return await placement.place(scope, venues, request, key=key, orderer=orderer)


def _key(data: Mapping[str, Any]) -> Key:
    order = {name: data[name] for name in _ORDER_FIELDS}
    bound = hashlib.sha256(b"trade.requested\n" + orjson.dumps(order, option=orjson.OPT_SORT_KEYS))
    return Key(data["idempotency_key"], bound.digest())


def _refused(scope: Scope, data: Mapping[str, Any], problem: Mapping[str, Any]) -> Event:
    told = {
        "request_id": data["request_id"],
        "symbol": data["symbol"],
        "code": problem["code"],
        "detail": problem["detail"],
    }
    if isinstance(problem.get("limit"), str):
        told["limit"] = problem["limit"]
    return scope.event("trade.refused", told, symbol=data["symbol"])
