"""`Idempotency-Key`: the same request again gets the first answer again."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from alphapulse.data import idempotency
from alphapulse.runtime.errors import Conflict, Invalid
from alphapulse.runtime.work import TenantWork

MAX_KEY_CHARACTERS = 255
_WAIT_FOR_FIRST_SECONDS = 5.0
_POLL_SECONDS = 0.02

OpenWork = Callable[[], Awaitable[TenantWork]]
Handler = Callable[[Request], Awaitable[Response]]


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


async def replayed(open_work: OpenWork, request: Request, handler: Handler) -> Response:
    """Run the handler once per key: claim, effect and stored answer are one transaction."""
    key = idempotency_key(request)
    if key is None:
        return await handler(request)
    work = await open_work()
    body = await request.body()
    replay = replay_of(await _claim(work, request, key, fingerprint(request, body)))
    if replay is not None:
        return replay
    response = await handler(request)
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


async def _claim(work: TenantWork, request: Request, key: str, print_: bytes) -> idempotency.Claim:
    """Claim the key; while the first request with it runs, wait for its answer, up to a deadline."""
    deadline = time.monotonic() + _WAIT_FOR_FIRST_SECONDS
    while True:
        claim = await idempotency.claim(
            work.session, key, fingerprint=print_, operation=f"{request.method} {request.url.path}"[:300]
        )
        if not isinstance(claim, idempotency.InProgress) or time.monotonic() > deadline:
            return claim
        await asyncio.sleep(_POLL_SECONDS)
