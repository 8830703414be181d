"""API keys: made by a person, shown once, no more than their maker, and gone at the latest in a year."""

import datetime as dt
import json
import uuid
from typing import Annotated, Literal

from fastapi import Query
from fastapi import Request as HttpRequest
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from starlette.responses import Response
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.runtime.admission import any_role, open_when
from alphapulse.runtime.errors import Conflict, Invalid, NotFound, NotPermitted
from alphapulse.runtime.http import tenant_router
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.api_keys import includes, new_api_key
from alphapulse.tenancy.principal import Role
from alphapulse.tenancy.states import TenantStatus
from functions.accounts.callers import PersonScope, principal_of
from functions.accounts.once import once
from functions.accounts.schemas import Request, Text

_MOST_KEYS = 50
_LIFETIME = dt.timedelta(days=90)
_LONGEST_LIFETIME = dt.timedelta(days=366)

sql = queries.load(__file__, "api_keys.sql")
router = tenant_router(stepped=True)

ScopeName = Literal["read", "trade", "agents", "risk", "credentials", "account"]


class NewApiKey(Request):
    """What a key is for. Without scopes it may do whatever its role may."""

    name: Annotated[Text, Field(max_length=100)]
    role: Literal["owner", "trader", "viewer"] | None = None
    scopes: Annotated[
        list[ScopeName], Field(max_length=6), AfterValidator(lambda names: sorted(set(names)))
    ] = Field(default_factory=list)
    expires_at: AwareDatetime | None = None


class ApiKeyView(BaseModel):
    """A key without its secret."""

    id: uuid.UUID
    user_id: uuid.UUID
    name: str
    prefix: str
    role: str
    scopes: list[str]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None


class CreatedApiKey(ApiKeyView):
    """A new key. Its text is shown this once: a replay by `Idempotency-Key` has null instead."""

    key: str | None


class ApiKeyList(BaseModel):
    """A page of keys that are not revoked, the newest first."""

    items: list[ApiKeyView]
    next_cursor: str | None


@router.get("/auth/api-keys")
async def list_api_keys(
    scope: PersonScope,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: uuid.UUID | None = None,
) -> ApiKeyList:
    """Return the caller's keys; an owner sees everybody's."""
    async with scope.platform_transaction() as work:
        found = sql.page(work.session, **_whose(scope), before=cursor, limit=limit + 1)
        rows = [ApiKeyView.model_validate(dict(row)) async for row in found]
    more = len(rows) > limit
    return ApiKeyList(items=rows[:limit], next_cursor=str(rows[limit - 1].id) if more else None)


@router.post("/auth/api-keys", status_code=201, response_model=CreatedApiKey)
@any_role
async def create_api_key(body: NewApiKey, request: HttpRequest, scope: PersonScope) -> Response:
    """Make a key; its text is in this answer and nowhere else."""

    async def make(work: TenantWork) -> bytes:
        return (await _create(work, body)).model_dump_json().encode()

    response = await once(scope, request, make, status=201, stored=_without_key)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.delete("/auth/api-keys/{key_id}", status_code=204)
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def revoke_api_key(key_id: uuid.UUID, request: HttpRequest, scope: PersonScope) -> Response:
    """Revoke a key of the caller, or as an owner anybody's; it works no longer than a second more."""

    async def make(work: TenantWork) -> bytes:
        if await sql.revoke(work.session, **_whose(scope), id=key_id, now=work.now) is None:
            raise NotFound("there is no such API key")
        await work.audit("api_key.revoked", resource_type="api_key", resource_id=str(key_id))
        return b""

    return await once(scope, request, make, status=204)


async def _create(work: TenantWork, body: NewApiKey) -> CreatedApiKey:
    caller, now = work.principal, work.now
    role = Role(body.role) if body.role else caller.role
    if not includes(caller.role, role):
        raise NotPermitted(f"role {caller.role} may not make a key with role {role}")
    expires_at = body.expires_at or now + _LIFETIME
    if not now < expires_at <= now + _LONGEST_LIFETIME:
        raise Invalid(f"expires_at must be within the next {_LONGEST_LIFETIME.days} days")
    of_user = {"tenant_id": work.tenant_id.value, "user_id": caller.user_id, "now": now}
    if await sql.count(work.session, **of_user) >= _MOST_KEYS:
        raise Conflict(f"a user has at most {_MOST_KEYS} API keys", code="too_many_api_keys")
    key = new_api_key(work.tenant_id)
    view = ApiKeyView(
        id=uuid7(),
        user_id=caller.user_id,
        name=body.name,
        prefix=key.prefix,
        role=role.value,
        scopes=list(body.scopes),
        created_at=now,
        expires_at=expires_at,
        last_used_at=None,
    )
    columns = view.model_dump(exclude={"created_at", "last_used_at", "user_id"})
    await sql.insert(work.session, **of_user, **columns, key_hash=key.digest)
    details = {"role": role.value, "scopes": view.scopes, "expires_at": expires_at.isoformat()}
    await work.audit("api_key.created", resource_type="api_key", resource_id=str(view.id), details=details)
    return CreatedApiKey(**view.model_dump(), key=key.text)


def _whose(scope: Scope) -> dict[str, object]:
    caller = principal_of(scope)
    return {
        "tenant_id": scope.tenant_id.value,
        "user_id": caller.user_id,
        "everybody": caller.role is Role.OWNER,
    }


def _without_key(body: bytes) -> bytes:
    return json.dumps(json.loads(body) | {"key": None}).encode()
