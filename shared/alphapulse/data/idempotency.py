"""First answers by `Idempotency-Key`: the same request again gets the same answer again.

In one transaction: :func:`claim`, the work, :func:`store`. A request whose work fails rolls its
claim back with it.

Over several transactions (an order is committed before the exchange is called): :func:`claim`
with a `lease`, commit, the work, :func:`store` in a later transaction. Should the process die in
between, the same request may take the claim over when the lease has ended; the work itself must
then find out how far it had come.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from alphapulse.data import queries
from alphapulse.data.session import Session

_sql = queries.load(__file__, "idempotency.sql")


@dataclass(frozen=True, slots=True)
class Fresh:
    """Do the work.

    Attributes
    ----------
    taken_over : bool
        An earlier request with this key claimed it and never answered: part of the work may be done.
    """

    taken_over: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    """The work was done; this was the answer."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reused:
    """The key came with a different request before."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """The first request with this key has not been answered yet."""


Claim = Fresh | Replay | Reused | InProgress


async def claim(
    session: Session,
    key: str,
    *,
    fingerprint: bytes,
    operation: str = "",
    lease: dt.timedelta | None = None,
) -> Claim:
    """Claim a key for a request; never waits.

    Parameters
    ----------
    session
        Of one tenant.
    key
        What the caller sent, 1 to 255 characters.
    fingerprint
        SHA-256 of method, address and body.
    operation
        What is done, for people who read the table (`POST /trades`).
    lease
        For work over several transactions: how long nobody else may take the claim over.
    """
    of_key = {"tenant_id": _tenant(session), "key": key}
    turn = await _sql.claim(session, **of_key, operation=operation, request_hash=fingerprint, lease=lease)
    if turn["inserted"]:
        return Fresh()
    # A statement of its own: what committed while the first one ran is visible to this one.
    earlier = await _sql.earlier(session, **of_key)
    if earlier is None:
        return InProgress()
    if earlier["request_hash"] != fingerprint:
        return Reused()
    if earlier["response_status"] is not None:
        return Replay(earlier["response_status"], earlier["response_headers"] or {}, earlier["response_body"])
    if earlier["locked"] or not turn["taken"]:
        return InProgress()
    await _sql.take_over(session, **of_key, lease=lease)
    return Fresh(taken_over=True)


async def store(
    session: Session, key: str, *, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    """Keep the answer of a claimed key; an answer that is there already stays."""
    await _sql.store(
        session, tenant_id=_tenant(session), key=key, status=status, body=body, headers=dict(headers or {})
    )


async def release(session: Session, key: str) -> None:
    """Give up a claim whose work has had no effect, so that the request may be tried again at once."""
    await _sql.release(session, tenant_id=_tenant(session), key=key)


async def forget_before(session: Session, before: dt.datetime) -> int:
    """Delete a tenant's keys older than `before`; return how many."""
    status = await _sql.forget_before(session, tenant_id=_tenant(session), before=before)
    return int(status.rpartition(" ")[2])


def _tenant(session: Session) -> uuid.UUID:
    if session.tenant is None:
        raise ValueError("idempotency keys belong to a tenant; the session has none")
    return session.tenant
