"""A tenant's users: invited by an owner, given a role, disabled, removed."""

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel
from starlette.responses import Response
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.runtime.errors import Conflict, Invalid, NotFound
from alphapulse.runtime.http import tenant_router
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.principal import Role
from functions.accounts import second_factor, sessions
from functions.accounts.callers import OwnerScope
from functions.accounts.once import once
from functions.accounts.one_time_tokens import Purpose
from functions.accounts.password_changes import send_token
from functions.accounts.schemas import Email, Request

_MOST_USERS = 100

sql = queries.load(__file__, "users.sql")
router = tenant_router(stepped=True)

TenantRole = Literal["owner", "trader", "viewer"]


class EmailTaken(Conflict):
    """The address has an account, here or elsewhere."""

    code = "email_taken"
    title = "E-mail address taken"


class LastOwner(Conflict):
    """Somebody must own the tenant."""

    code = "last_owner"


class Invitation(Request):
    """Whom to invite, and as what."""

    email: Email
    role: TenantRole


class UserChange(Request):
    """What to change; what is left out stays."""

    role: TenantRole | None = None
    status: Literal["active", "disabled"] | None = None


class UserView(BaseModel):
    """A user of the tenant."""

    id: uuid.UUID
    email: str
    role: str
    status: Literal["invited", "active", "disabled"]
    email_verified_at: dt.datetime | None
    totp_enabled: bool
    last_login_at: dt.datetime | None
    created_at: dt.datetime


class Users(BaseModel):
    """A page of users, the oldest first."""

    items: list[UserView]
    next_cursor: str | None


@router.get("/tenants/me/users")
async def list_users(
    scope: OwnerScope,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: uuid.UUID | None = None,
) -> Users:
    """Return the tenant's users."""
    async with scope.platform_transaction() as work:
        found = sql.page(work.session, tenant_id=scope.tenant_id.value, after=cursor, limit=limit + 1)
        rows = [UserView.model_validate(dict(row)) async for row in found]
    more = len(rows) > limit
    return Users(items=rows[:limit], next_cursor=str(rows[limit - 1].id) if more else None)


@router.post("/tenants/me/users", status_code=201, response_model=UserView)
async def invite(body: Invitation, request: HttpRequest, scope: OwnerScope) -> Response:
    """Invite somebody; a mail with a link to set a password is sent to them."""

    async def make(work: TenantWork) -> bytes:
        return (await _invite(work, body)).model_dump_json().encode()

    return await once(scope, request, make, status=201)


@router.post("/tenants/me/users/{user_id}/invitation", status_code=202)
async def invite_again(user_id: uuid.UUID, scope: OwnerScope) -> dict[str, str]:
    """Send the invitation once more; the link before it works no longer."""
    async with scope.platform_transaction() as work:
        user = await _user(work, user_id)
    if user["status"] != "invited":
        raise Conflict("the user has accepted the invitation", code="not_invited")
    await send_token(scope.resources, scope.tenant_id, user_id, user["email"], Purpose.INVITATION)
    return {"status": "a mail is on its way"}


@router.patch("/tenants/me/users/{user_id}", response_model=UserView)
async def change_user(
    user_id: uuid.UUID, body: UserChange, request: HttpRequest, scope: OwnerScope
) -> Response:
    """Change a user's role, or disable them, which ends their logins and API keys."""

    async def make(work: TenantWork) -> bytes:
        user = await _locked_user(work, user_id)
        role, status = body.role or user["role"], body.status or user["status"]
        if user["status"] == "invited" and body.status is not None:
            raise Invalid("the user has not accepted the invitation yet", code="not_accepted")
        if (role, status) != ("owner", "active"):
            await _keep_an_owner(work, user)
        changed = await sql.change(
            work.session,
            tenant_id=scope.tenant_id.value,
            user_id=user_id,
            role=role,
            status=status,
            now=work.now,
        )
        if status == "disabled":
            await sessions.revoke_all(work.session, scope.tenant_id, user_id, now=work.now)
        details = {"from": [user["role"], user["status"]], "to": [role, status]}
        await work.audit("user.changed", resource_type="user", resource_id=str(user_id), details=details)
        return UserView.model_validate(dict(changed)).model_dump_json().encode()

    return await once(scope, request, make)


@router.delete("/tenants/me/users/{user_id}", status_code=204)
async def remove_user(user_id: uuid.UUID, request: HttpRequest, scope: OwnerScope) -> Response:
    """Remove a user with their logins and API keys."""

    async def make(work: TenantWork) -> bytes:
        user = await _locked_user(work, user_id)
        await _keep_an_owner(work, user)
        await sql.remove(work.session, tenant_id=scope.tenant_id.value, user_id=user_id)
        await work.audit("user.removed", resource_type="user", resource_id=str(user_id),
                         details={"role": user["role"]})  # fmt: skip
        if user["totp_enabled"]:
            work.after_commit(_forget_secret(scope, user_id))
        return b""

    return await once(scope, request, make, status=204)


async def _invite(work: TenantWork, body: Invitation) -> UserView:
    if await sql.count(work.session, tenant_id=work.tenant_id.value) >= _MOST_USERS:
        raise Conflict(f"a tenant has at most {_MOST_USERS} users", code="too_many_users")
    row = await sql.invite(
        work.session,
        tenant_id=work.tenant_id.value,
        user_id=uuid7(),
        email=body.email,
        role=body.role,
        now=work.now,
    )
    if row is None:
        raise EmailTaken("this e-mail address has an account")
    user = UserView.model_validate(dict(row))
    await work.audit("user.invited", resource_type="user", resource_id=str(user.id),
                     details={"role": user.role})  # fmt: skip
    work.after_commit(_send_invitation(work.scope, user))
    return user


def _send_invitation(scope: Scope, user: UserView) -> Callable[[], Awaitable[None]]:
    return lambda: send_token(scope.resources, scope.tenant_id, user.id, user.email, Purpose.INVITATION)


def _forget_secret(scope: Scope, user_id: uuid.UUID) -> Callable[[], Awaitable[None]]:
    return lambda: second_factor.forget_secret(scope.resources, scope.tenant_id, user_id)


async def _locked_user(work: TenantWork, user_id: uuid.UUID) -> Any:
    await sql.lock_owners(work.session, tenant_id=work.tenant_id.value)
    return await _user(work, user_id)


async def _user(work: TenantWork, user_id: uuid.UUID) -> Any:
    user = await sql.user(work.session, tenant_id=work.tenant_id.value, user_id=user_id)
    if user is None or user["role"] == Role.PLATFORM_ADMIN:
        raise NotFound("there is no such user")
    return user


async def _keep_an_owner(work: TenantWork, user: Any) -> None:
    if user["role"] != Role.OWNER or user["status"] != "active":
        return
    others = await sql.other_owners(work.session, tenant_id=work.tenant_id.value, user_id=user["id"])
    if not others:
        raise LastOwner("the last owner cannot be removed, disabled or given another role")
