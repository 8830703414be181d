"""`Idempotency-Key`: the same request again gets the first answer again."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from alphapulse.data import idempotency
from alphapulse.runtime.errors import Conflict, Invalid
from alphapulse.runtime.work import TenantWork

MAX_KEY_CHARACTERS = 255
_WAIT_FOR_FIRST_SECONDS = 5.0
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.02, 0.25

Handler = Callable[[Request], Awaitable[Response]]


class Attempt(Protocol):
    """A request's transaction, which may be ended and begun again."""

    async def open(self) -> TenantWork:
        """Return the open transaction; begin one if there is none."""

    async def close(self) -> None:
        """End the transaction."""


def idempotency_key(request: Request) -> str | None:
    """Return the checked `Idempotency-Key` of a request, or None.

    Raises
    ------
    Invalid
        The key is empty, longer than 255 characters, or not printable ASCII.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        raise Invalid("Idempotency-Key must be 1 to 255 printable ASCII characters")
    return key


def fingerprint(request: Request, body: bytes) -> bytes:
    """Return what an idempotency key is bound to: method, address and body."""
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(head + body).digest()


async def replayed(attempt: Attempt, request: Request, handler: Handler) -> Response:
    """Run the handler once per key: claim, effect and stored answer are one transaction."""
    key = idempotency_key(request)
    if key is None:
        return await handler(request)
    body = await request.body()
    replay = replay_of(await _claim(attempt, request, key, fingerprint(request, body)))
    if replay is not None:
        return replay
    response = await handler(request)
    work = await attempt.open()
    await idempotency.store(
        work.session, key, status=response.status_code, body=bytes(response.body), headers={}
    )
    return response


def replay_of(claim: idempotency.Claim) -> Response | None:
    """Return the first answer again, or None when this request is the first with its key.

    Raises
    ------
    Invalid
        `idempotency_key_reused`: the key came with another request before.
    Conflict
        `request_in_progress`: the first request has not been answered yet.
    """
    match claim:
        case idempotency.Fresh():
            return None
        case idempotency.Replay(status=status, body=body):
            return Response(
                body,
                status_code=status,
                media_type="application/json",
                headers={"Idempotent-Replayed": "true"},
            )
        case idempotency.Reused():
            raise Invalid("this Idempotency-Key was used with another request", code="idempotency_key_reused")
        case _:
            raise Conflict(
                "the first request with this Idempotency-Key is still running", code="request_in_progress"
            )


async def _claim(attempt: Attempt, request: Request, key: str, print_: bytes) -> idempotency.Claim:
    """Claim the key; while the first request with it runs, wait for its answer, up to a deadline.

    A wait holds no transaction: its connection is one that other requests need.
    """
    operation = f"{request.method} {request.url.path}"[:300]
    pause, deadline = _FIRST_POLL_SECONDS, time.monotonic() + _WAIT_FOR_FIRST_SECONDS
    while True:
        work = await attempt.open()
        claim = await idempotency.claim(work.session, key, fingerprint=print_, operation=operation)
        if not isinstance(claim, idempotency.InProgress) or time.monotonic() > deadline:
            return claim
        await attempt.close()
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_POLL_SECONDS)
