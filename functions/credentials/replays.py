"""`Idempotency-Key` for requests that carry a secret and span transactions.

What a key is bound to leaves the secret out, so that no fast hash of it is stored; whether a replay
brings the same secret is seen by looking into Vault.
"""

import asyncio
import datetime as dt
import hmac
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import orjson
import structlog
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from alphapulse.data import idempotency
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.http import fingerprint, idempotency_key, replay_of
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.vault.errors import VaultError
from alphapulse.trading.credentials.records import FOLDER
from alphapulse.venues.keys import ApiKeys
from functions.credentials.schemas import NewKeys

# Above what asking an exchange may take; a retry after a crash takes the claim over then.
_LEASE = dt.timedelta(seconds=30)
_WAIT_SECONDS = 10.0
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.02, 0.25

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Key:
    """The request's Idempotency-Key and what it is bound to."""

    text: str
    fingerprint: bytes


def key_of(request: Request, body: NewKeys | None = None) -> Key | None:
    """Return the request's key; of its body everything counts but the secret and the passphrase."""
    text = idempotency_key(request)
    if text is None:
        return None
    told = b""
    if body is not None:
        api_key = body.api_key.get_secret_value()
        told = body.model_dump_json(exclude={"api_secret", "passphrase"}).encode() + api_key.encode()
    return Key(text, fingerprint(request, told))


class Replays:
    """One request's claim of its key, for `async with`.

    Attributes
    ----------
    first_answer : Response or None
        What the first request with the key was answered; then there is nothing to do.
    """

    def __init__(self, scope: Scope, key: Key | None, operation: str, *, keys: ApiKeys | None = None) -> None:
        self._scope = scope
        self._key = key
        self._operation = operation
        self._keys = keys
        self.first_answer: Response | None = None

    async def __aenter__(self) -> Self:
        if self._key is not None:
            claim = await self._claim(self._key)
            self.first_answer = replay_of(claim)
            if isinstance(claim, idempotency.Replay) and self._keys is not None:
                await self._require_same_secret(claim.body, self._keys)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._key is None or self.first_answer is not None or not isinstance(error, Exception):
            return
        # What a request did is committed together with its answer, which stays; a claim without an
        # answer stands for nothing that was done, so the request may be sent again at once.
        try:
            async with self._scope.transaction() as work:
                await idempotency.release(work.session, self._key.text)
        except DatabaseUnavailable:
            logger.warning("idempotency_key_not_released")  # its lease ends by itself

    async def answer(self, work: TenantWork, status: int, view: BaseModel | None = None) -> Response:
        """Return the answer, kept in the transaction that did what was asked."""
        body = b"" if view is None else view.model_dump_json().encode()
        if self._key is not None:
            await idempotency.store(work.session, self._key.text, status=status, body=body)
        return Response(body, status_code=status, media_type="application/json" if body else None)

    async def _claim(self, key: Key) -> idempotency.Claim:
        pause, deadline = _FIRST_POLL_SECONDS, time.monotonic() + _WAIT_SECONDS
        while True:
            async with self._scope.transaction() as work:
                claim = await idempotency.claim(
                    work.session,
                    key.text,
                    fingerprint=key.fingerprint,
                    operation=self._operation,
                    lease=_LEASE,
                )
            if not isinstance(claim, idempotency.InProgress) or time.monotonic() > deadline:
                return claim
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_POLL_SECONDS)

    async def _require_same_secret(self, body: bytes, keys: ApiKeys) -> None:
        answered = orjson.loads(body)
        vault = self._scope.resources.vault.tenant(self._scope.tenant_id)
        try:
            stored = await vault.read(FOLDER, answered["exchange"], version=answered["version"])
        except VaultError:
            return  # the answer holds no secret, so it may be given again without looking
        if stored is None or stored.data.get("credential_id") != answered["id"]:
            return  # removed meanwhile
        if not _same(ApiKeys.from_secret(stored.data), keys):
            raise Invalid("this Idempotency-Key was used with another request", code="idempotency_key_reused")


def _same(one: ApiKeys, other: ApiKeys) -> bool:
    return hmac.compare_digest(_text(one), _text(other))


def _text(keys: ApiKeys) -> bytes:
    return orjson.dumps([keys.api_key, keys.api_secret, keys.passphrase])
