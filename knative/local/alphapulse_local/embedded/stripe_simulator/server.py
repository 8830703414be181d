"""The simulation's HTTP server: keys, idempotency, errors, and which request does what."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from alphapulse_local.embedded.stripe_simulator import catalogue, customers, faults, subscriptions
from alphapulse_local.embedded.stripe_simulator.errors import Refusal
from alphapulse_local.embedded.stripe_simulator.faults import Faults
from alphapulse_local.embedded.stripe_simulator.parameters import Parameters, decode
from alphapulse_local.embedded.stripe_simulator.store import Answer, Document, Store, new_id

Operation = Callable[..., Document]

_OPERATIONS: list[tuple[str, str, Operation]] = [
    ("POST", "/v1/customers", customers.create),
    ("GET", "/v1/customers", customers.listed),
    ("GET", "/v1/customers/{id}", customers.retrieve),
    ("POST", "/v1/customers/{id}", customers.update),
    ("DELETE", "/v1/customers/{id}", customers.delete),
    ("POST", "/v1/subscriptions", subscriptions.create),
    ("GET", "/v1/subscriptions", subscriptions.listed),
    ("GET", "/v1/subscriptions/{id}", subscriptions.retrieve),
    ("POST", "/v1/subscriptions/{id}", subscriptions.update),
    ("DELETE", "/v1/subscriptions/{id}", subscriptions.cancel),
    ("POST", "/v1/products", catalogue.create_product),
    ("GET", "/v1/products", catalogue.list_products),
    ("GET", "/v1/products/{id}", catalogue.retrieve_product),
    ("POST", "/v1/prices", catalogue.create_price),
    ("GET", "/v1/prices", catalogue.list_prices),
    ("GET", "/v1/prices/{id}", catalogue.retrieve_price),
]
_ROUTES = [
    (method, re.compile(path.replace("{id}", "([A-Za-z0-9_]+)")), operation)
    for method, path, operation in _OPERATIONS
]
_SIMULATED = {"Server": "alphapulse-stripe-simulator", "Simulated": "true"}
_LONGEST_KEY = 255
# What Stripe keeps for an idempotency key: an answer once it began to act, and its own failures.
_KEPT = {200, 402, 500}


def simulation(store: Store, *, key: str) -> web.Application:
    """Return the application.

    Parameters
    ----------
    key
        The one secret key it knows.
    """
    waiting = Faults()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/":
            return web.Response(text="A simulation of Stripe. It is not Stripe.\n", headers=_SIMULATED)
        headers = {**_SIMULATED, "Request-Id": new_id("req")}
        form = await request.post() if request.method == "POST" else request.query
        pairs = [(name, value) for name, value in form.items() if isinstance(value, str)]
        try:
            _authenticate(request, key)
            parameters = decode(pairs)
            if request.path == faults.PATH:
                return web.json_response(_arrange(waiting, request, parameters), headers=headers)
            status, body, lost = _once(store, waiting, request, parameters, headers)
        except Refusal as refusal:
            return web.json_response(refusal.document(), status=refusal.status, headers=headers)
        if lost and request.transport is not None:
            request.transport.abort()
        return web.Response(text=body, status=status, content_type="application/json", headers=headers)

    app = web.Application(client_max_size=1024 * 1024)
    app.router.add_route("*", "/{path:.*}", answer)
    return app


def _authenticate(request: web.Request, key: str) -> None:
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            text = base64.b64decode(text).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            text = ""
    if not text:
        raise Refusal("You did not provide an API key.", status=401)
    if not hmac.compare_digest(text.encode(), key.encode()):
        raise Refusal(f"Invalid API Key provided: {'*' * 8}{text[-4:]}", status=401)


def _arrange(waiting: Faults, request: web.Request, parameters: dict[str, Any]) -> Document:
    if request.method == "DELETE":
        return waiting.clear()
    return waiting.add(Parameters(parameters))


def _once(
    store: Store, waiting: Faults, request: web.Request, parameters: dict[str, Any], headers: dict[str, str]
) -> tuple[int, str, bool]:
    """Return status, body, and whether the answer gets lost; with a key, do it once only."""
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    fingerprint = _fingerprint(request, parameters)
    if key is not None:
        headers["Idempotency-Key"] = key
        kept = _kept(store, key, fingerprint)
        if kept is not None:
            headers["Idempotent-Replayed"] = "true"
            return kept.status, kept.body, False
    fault = waiting.next(request.method, request.path)
    refusal = None if fault is None or fault.lost else fault.refusal()
    with store:
        status, body = _done(store, request, parameters, refusal=refusal)
        if key is not None and status in _KEPT:
            store.keep(key, Answer(fingerprint, status, body))
    return status, body, fault is not None and fault.lost


def _kept(store: Store, key: str, fingerprint: str) -> Answer | None:
    if len(key) > _LONGEST_KEY:
        raise Refusal(f"Idempotency keys have at most {_LONGEST_KEY} characters")
    kept = store.answer(key)
    if kept is not None and kept.request != fingerprint:
        raise Refusal(
            "An idempotency key can only be used again with the parameters it was first used with.",
            kind="idempotency_error",
        )
    return kept


def _done(
    store: Store, request: web.Request, parameters: dict[str, Any], *, refusal: Refusal | None
) -> tuple[int, str]:
    try:
        if refusal is not None:
            raise refusal
        return 200, json.dumps(_operate(store, request, parameters))
    except Refusal as error:
        return error.status, json.dumps(error.document())


def _operate(store: Store, request: web.Request, parameters: dict[str, Any]) -> Document:
    for method, path, operation in _ROUTES:
        match = path.fullmatch(request.path)
        if method == request.method and match is not None:
            return operation(store, Parameters(parameters), *match.groups())
    raise Refusal(
        f"Unrecognized request URL ({request.method}: {request.path}): this is a simulation, "
        "Stripe may know it",
        status=404,
    )


def _fingerprint(request: web.Request, parameters: dict[str, Any]) -> str:
    text = json.dumps([request.method, request.path, parameters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
