"""`Idempotency-Key` for routes that write with the platform's role, some of whose answers hold a secret."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import Request
from starlette.responses import Response

from alphapulse.data import idempotency
from alphapulse.runtime.http import fingerprint, idempotency_key, replay_of
from alphapulse.runtime.work import Scope, TenantWork
from functions.accounts.callers import principal_of


async def once(
    scope: Scope,
    request: Request,
    make: Callable[[TenantWork], Awaitable[bytes]],
    *,
    status: int = HTTPStatus.OK,
    stored: Callable[[bytes], bytes] = bytes,
) -> Response:
    """Do something once per key, in one transaction, and answer JSON.

    Parameters
    ----------
    make
        Does it, and returns the answer's body.
    stored
        Returns the body as it is kept for a replay: without the secrets it shows.

    Raises
    ------
    Invalid
        The key came with another request, or another user's, before.
    Conflict
        The first request with the key is still running.
    """
    key = idempotency_key(request)
    # The caller's, too: what one user was answered is no answer to another user's request.
    print_ = fingerprint(request, principal_of(scope).user_id.bytes + await request.body())
    async with scope.platform_transaction() as work:
        if key is not None:
            operation = f"{request.method} {request.url.path}"[:300]
            claim = await idempotency.claim(work.session, key, fingerprint=print_, operation=operation)
            replay = replay_of(claim)
            if replay is not None:
                return replay
        body = await make(work)
        if key is not None:
            await idempotency.store(work.session, key, status=status, body=stored(body), headers={})
    return Response(body, status_code=status, media_type="application/json" if body else None)
