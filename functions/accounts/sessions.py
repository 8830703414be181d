"""Refresh tokens: a session each, and a family of sessions for one login."""

import datetime as dt
import hashlib
import secrets
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.runtime.admission import any_role, open_when
from alphapulse.runtime.errors import NotFound
from alphapulse.runtime.http import tenant_router
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.signing_keys import ACCESS_TOKEN_LIFETIME
from alphapulse.tenancy.states import TenantStatus
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from functions.accounts.callers import Client, PersonScope, principal_of
from functions.accounts.once import once
from functions.accounts.schemas import Tokens

REFRESH_TOKEN_LIFETIME = dt.timedelta(days=30)

sql = queries.load(__file__, "sessions.sql")
router = tenant_router(stepped=True)


class SessionView(BaseModel):
    """A login that may still be refreshed."""

    id: uuid.UUID
    created_at: dt.datetime
    last_used_at: dt.datetime
    expires_at: dt.datetime
    client: str
    address: str | None
    current: bool


class Sessions(BaseModel):
    """A user's logins, the last used first."""

    items: list[SessionView]
    next_cursor: None = None


@router.get("/auth/sessions")
async def list_sessions(scope: PersonScope) -> Sessions:
    """Return the caller's logins."""
    caller = principal_of(scope)
    async with scope.platform_transaction() as work:
        of_user = {"tenant_id": scope.tenant_id.value, "user_id": caller.user_id}
        rows = [dict(row) async for row in sql.of_user(work.session, **of_user, now=work.now)]
    return Sessions(items=[SessionView(**row, current=row["id"] == caller.session_id) for row in rows])


@router.delete("/auth/sessions/{session_id}", status_code=204)
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def end_session(session_id: uuid.UUID, request: Request, scope: PersonScope) -> Response:
    """End one of the caller's logins."""

    async def make(work: TenantWork) -> bytes:
        of_user = {"tenant_id": scope.tenant_id.value, "user_id": principal_of(scope).user_id}
        await sql.lock_families(work.session, **of_user)
        ended = await sql.revoke_family(work.session, **of_user, family_id=session_id, now=work.now)
        if not ended:
            raise NotFound("there is no such login")
        await work.audit("session.ended", resource_type="session", resource_id=str(session_id))
        return b""

    return await once(scope, request, make, status=204)


@router.post("/auth/logout-all", status_code=204)
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def log_out_everywhere(scope: PersonScope) -> None:
    """End all logins of the caller, this one included."""
    async with scope.platform_transaction() as work:
        ended = await revoke_all(work.session, scope.tenant_id, principal_of(scope).user_id, now=work.now)
        await work.audit("session.all_ended", details={"sessions": ended})


async def locked(session: Session, refresh_token: str) -> Any:
    """Return the session of a refresh token, if any; nothing else of its login changes meanwhile."""
    token_hash = _token_hash(refresh_token)
    await sql.lock_family(session, token_hash=token_hash)
    return await sql.session(session, token_hash=token_hash)


async def issue(
    session: Session, signer: TokenSigner, principal: Principal, *, client: Client, now: dt.datetime
) -> Tokens:
    """Return an access token and a new refresh token of the principal's login."""
    refresh_token = "rt_" + secrets.token_urlsafe(32)
    await sql.insert_session(
        session,
        tenant_id=principal.tenant_id.value,
        session_id=uuid7(),
        user_id=principal.user_id,
        family_id=principal.session_id,
        token_hash=_token_hash(refresh_token),
        client=client.agent,
        address=client.address,
        csrf_hash=_decoded(principal.csrf_hash),
        now=now,
        expires_at=now + REFRESH_TOKEN_LIFETIME,
    )
    return Tokens(
        access_token=signer.sign(principal, now=now, lifetime=ACCESS_TOKEN_LIFETIME),
        expires_in=int(ACCESS_TOKEN_LIFETIME.total_seconds()),
        refresh_token=refresh_token,
    )


async def forget_expired(session: Session, principal: Principal, *, now: dt.datetime) -> None:
    """Delete what is left of a user's logins that have run out."""
    await sql.forget_expired(session, tenant_id=principal.tenant_id.value, user_id=principal.user_id, now=now)


async def rotated(session: Session, found: Mapping[str, Any], *, now: dt.datetime) -> None:
    """Use a session up."""
    await sql.rotate_session(session, tenant_id=found["tenant_id"], session_id=found["id"], now=now)


async def revoke_login(session: Session, principal: Principal, *, now: dt.datetime) -> None:
    """End one login."""
    await sql.revoke_family(
        session,
        tenant_id=principal.tenant_id.value,
        user_id=principal.user_id,
        family_id=principal.session_id,
        now=now,
    )


async def revoke_all(
    session: Session,
    tenant_id: TenantId,
    user_id: uuid.UUID,
    *,
    now: dt.datetime,
    keep: uuid.UUID | None = None,
) -> int:
    """End all logins of a user but `keep`; return how many."""
    of_user = {"tenant_id": tenant_id.value, "user_id": user_id}
    await sql.lock_families(session, **of_user)
    ended: int = await sql.revoke_others(session, **of_user, kept_family=keep, now=now)
    return ended


def principal_of_session(row: Mapping[str, Any]) -> Principal:
    """Return whom a session was made for."""
    return Principal(
        tenant_id=TenantId(row["tenant_id"]),
        user_id=row["user_id"],
        role=Role(row["role"]),
        tier=Tier(row["tier"]),
        session_id=row["family_id"],
        csrf_hash=_encoded(row["csrf_hash"]),
    )


def _token_hash(token: str) -> bytes:
    # A token has 256 random bits, so a plain hash is enough: there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()


def _decoded(csrf_hash: str | None) -> bytes | None:
    return None if csrf_hash is None else urlsafe_b64decode(csrf_hash + "=")


def _encoded(csrf_hash: bytes | None) -> str | None:
    return None if csrf_hash is None else urlsafe_b64encode(csrf_hash).rstrip(b"=").decode()
