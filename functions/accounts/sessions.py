"""Refresh tokens: a session each, and a family of sessions for one login."""

import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from functions.accounts.schemas import Tokens

ACCESS_TOKEN_LIFETIME = dt.timedelta(minutes=15)
REFRESH_TOKEN_LIFETIME = dt.timedelta(days=30)

sql = queries.load(__file__)


async def locked(session: Session, refresh_token: str) -> Any:
    """Return the session of a refresh token, if any; nothing else of its login changes meanwhile."""
    token_hash = _token_hash(refresh_token)
    await sql.lock_family(session, token_hash=token_hash)
    return await sql.session(session, token_hash=token_hash)


async def issue(session: Session, resources: Resources, signer: TokenSigner, principal: Principal) -> Tokens:
    """Return an access token and a new refresh token of the principal's login."""
    refresh_token = "rt_" + secrets.token_urlsafe(32)
    now = resources.clock()
    await sql.insert_session(
        session,
        tenant_id=principal.tenant_id.value,
        session_id=uuid7(),
        user_id=principal.user_id,
        family_id=principal.session_id,
        token_hash=_token_hash(refresh_token),
        now=now,
        expires_at=now + REFRESH_TOKEN_LIFETIME,
    )
    return Tokens(
        access_token=signer.sign(principal, now=now, lifetime=ACCESS_TOKEN_LIFETIME),
        expires_in=int(ACCESS_TOKEN_LIFETIME.total_seconds()),
        refresh_token=refresh_token,
    )


def principal_of(row: Mapping[str, Any]) -> Principal:
    """Return whom a session was made for."""
    family: uuid.UUID = row["family_id"]
    return Principal(
        tenant_id=TenantId(row["tenant_id"]),
        user_id=row["user_id"],
        role=Role(row["role"]),
        tier=Tier(row["tier"]),
        session_id=family,
    )


def _token_hash(token: str) -> bytes:
    # A token has 256 random bits, so a plain hash is enough: there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()
