"""API keys: the key names its tenant and is looked up, by its hash, among that tenant's rows only."""

import asyncio
import datetime as dt
import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from alphapulse.data import queries
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.tenant import TenantId

#: How long a looked-up key is believed: a revoked one works no longer than this.
BELIEVED: dt.timedelta = dt.timedelta(seconds=1)
# The time of the last use is for people who look for keys nobody uses; a write per request is not worth it.
_USE_NOTED_EVERY = dt.timedelta(minutes=10)
_SECRET_BYTES = 32
_PREFIX_CHARACTERS = 40
_CACHED_KEYS = 1024
_FORM = re.compile(r"ak_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_RANK = {Role.VIEWER: 0, Role.TRADER: 1, Role.OWNER: 2}

sql = queries.load(__file__, "api_keys.sql")


class InvalidApiKey(Exception):
    """The key is malformed, unknown, expired or revoked, or its user is gone."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What a key's text says: whose it is, and its hash."""

    tenant_id: TenantId
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key.

        Raises
        ------
        InvalidApiKey
            The text has not the form `ak_<tenant, 32 hex digits>_<43 characters>`.
        """
        form = _FORM.fullmatch(text)
        if form is None:
            raise InvalidApiKey("the API key is malformed")
        return cls(TenantId(uuid.UUID(form[1])), hashlib.sha256(text.encode()).digest())


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A fresh key: its text is shown once and kept nowhere.

    Attributes
    ----------
    prefix
        How the key is told from others in a list.
    """

    text: str = field(repr=False)
    prefix: str
    digest: bytes = field(repr=False)


@dataclass(slots=True)
class _Lookup:
    believed_until: dt.datetime
    principal: "asyncio.Task[Principal | None]"


def new_api_key(tenant_id: TenantId) -> NewApiKey:
    """Return a key of 256 random bits for a tenant."""
    text = f"ak_{tenant_id.value.hex}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return NewApiKey(text, text[:_PREFIX_CHARACTERS], ApiKey.parse(text).digest)


def includes(role: Role, other: Role) -> bool:
    """Tell whether a user with `role` may hand out `other`: nobody gives more than they have."""
    return role in _RANK and other in _RANK and _RANK[other] <= _RANK[role]


class ApiKeys:
    """Tells whose an API key is.

    Parameters
    ----------
    database
        Read as the tenant that the key names, under row-level security.
    clock
        Aware UTC now.
    """

    def __init__(self, database: Database, *, clock: Callable[[], dt.datetime]) -> None:
        self._database = database
        self._clock = clock
        self._lookups: dict[bytes, _Lookup] = {}

    async def principal(self, text: str) -> Principal:
        """Return whom a key stands for.

        Raises
        ------
        InvalidApiKey
            Malformed, unknown, expired, revoked, or of a user that is not active.
        alphapulse.data.errors.DatabaseUnavailable
            The key cannot be looked up.
        """
        key = ApiKey.parse(text)
        now = self._clock()
        lookup = self._lookups.get(key.digest)
        if lookup is None or lookup.believed_until <= now:
            lookup = self._begin(key, now)
        if not lookup.principal.done():
            # A request that is given up must not take the lookup of the others with it.
            await asyncio.shield(lookup.principal)
        principal = lookup.principal.result()
        if principal is None:
            raise InvalidApiKey("the API key is not valid")
        return principal

    def _begin(self, key: ApiKey, now: dt.datetime) -> _Lookup:
        if len(self._lookups) >= _CACHED_KEYS:
            self._lookups.clear()
        task = asyncio.get_running_loop().create_task(self._find(key, now))
        lookup = self._lookups[key.digest] = _Lookup(now + BELIEVED, task)

        def forget_failure(done: "asyncio.Task[Principal | None]") -> None:
            failed = done.cancelled() or done.exception() is not None
            if failed and self._lookups.get(key.digest) is lookup:
                del self._lookups[key.digest]

        task.add_done_callback(forget_failure)
        return lookup

    async def _find(self, key: ApiKey, now: dt.datetime) -> Principal | None:
        tenant = key.tenant_id.value
        async with self._database.tenant(key.tenant_id) as session:
            row = await sql.usable(session, tenant_id=tenant, key_hash=key.digest)
            if row is None or not hmac.compare_digest(row["key_hash"], key.digest):
                return None
            if row["expires_at"] is not None and row["expires_at"] <= now:
                return None
            stale = now - _USE_NOTED_EVERY
            if row["last_used_at"] is None or row["last_used_at"] < stale:
                await sql.note_use(session, tenant_id=tenant, id=row["id"], now=now, stale=stale)
        return _principal(key.tenant_id, row)


def _principal(tenant_id: TenantId, row: Any) -> Principal | None:
    key_role, user_role = Role(row["role"]), Role(row["user_role"])
    if user_role not in _RANK:
        return None
    return Principal(
        tenant_id=tenant_id,
        user_id=row["user_id"],
        role=min(key_role, user_role, key=_RANK.__getitem__),
        tier=Tier(row["tier"]),
        session_id=row["id"],
        api_key_id=row["id"],
        scopes=frozenset(row["scopes"]),
    )
