"""One-time tokens: what links in mails carry. Only their hash is stored; a newer one replaces an older.

A token names its tenant, so that it is looked up among that tenant's rows under row-level security.
"""

import datetime as dt
import enum
import hashlib
import re
import secrets
import uuid
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.runtime.errors import Invalid
from alphapulse.tenancy.tenant import TenantId

_FORM = re.compile(r"ot_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")
_TOKEN_BYTES = 32

sql = queries.load(__file__, "one_time_tokens.sql")


class InvalidOneTimeToken(Invalid):
    """The token is malformed, unknown, used, expired or replaced; which of these is not said."""

    code = "invalid_one_time_token"

    def __init__(self) -> None:
        super().__init__("the link is not valid any more; ask for a new one")


class Purpose(enum.StrEnum):
    """What a token may be used for."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
    INVITATION = "invitation"


LIFETIME = {
    Purpose.VERIFY_EMAIL: dt.timedelta(days=3),
    Purpose.RESET_PASSWORD: dt.timedelta(hours=1),
    Purpose.INVITATION: dt.timedelta(days=7),
}


async def issue(
    session: Session, *, user_id: uuid.UUID, purpose: Purpose, email: str, now: dt.datetime
) -> str:
    """Return a new token for a user of the session's tenant."""
    tenant_id = _tenant(session)
    token = f"ot_{tenant_id.hex}_{secrets.token_urlsafe(_TOKEN_BYTES)}"
    await sql.forget_expired(session, tenant_id=tenant_id, user_id=user_id, now=now)
    await sql.issue(
        session,
        tenant_id=tenant_id,
        id=uuid7(),
        user_id=user_id,
        purpose=purpose.value,
        token_hash=_hash(token),
        email=email,
        now=now,
        expires_at=now + LIFETIME[purpose],
    )
    return token


def tenant_of(token: str) -> TenantId:
    """Return the tenant a token names.

    Raises
    ------
    InvalidOneTimeToken
        The token is malformed.
    """
    form = _FORM.fullmatch(token)
    if form is None:
        raise InvalidOneTimeToken
    return TenantId(uuid.UUID(form[1]))


async def check(session: Session, token: str, *purposes: Purpose, now: dt.datetime) -> None:
    """Refuse a token that `use` would refuse; it stays unused.

    Raises
    ------
    InvalidOneTimeToken
        As of `use`.
    """
    live = await sql.is_live(
        session,
        tenant_id=_tenant(session),
        token_hash=_hash(token),
        purposes=[purpose.value for purpose in purposes],
        now=now,
    )
    if not live:
        raise InvalidOneTimeToken


async def use(session: Session, token: str, *purposes: Purpose, now: dt.datetime) -> Any:
    """Use a token up; return its user's id and e-mail address, and its purpose.

    Raises
    ------
    InvalidOneTimeToken
        Unknown, used, expired, replaced, for another purpose or another tenant.
    """
    found = await sql.use(
        session,
        tenant_id=_tenant(session),
        token_hash=_hash(token),
        purposes=[purpose.value for purpose in purposes],
        now=now,
    )
    if found is None:
        raise InvalidOneTimeToken
    return found


async def withdraw(session: Session, user_id: uuid.UUID, *purposes: Purpose) -> None:
    """Make a user's unused tokens worthless."""
    names = [purpose.value for purpose in purposes]
    await sql.withdraw(session, tenant_id=_tenant(session), user_id=user_id, purposes=names)


def _tenant(session: Session) -> uuid.UUID:
    if session.tenant is None:
        raise ValueError("one-time tokens belong to a tenant; the session has none")
    return session.tenant


def _hash(token: str) -> bytes:
    # 256 random bits: there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()
