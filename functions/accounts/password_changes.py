"""Changing a password, setting a new one by mail, and proving an e-mail address."""

import uuid
from typing import Annotated

import structlog
from fastapi import Request as HttpRequest
from pydantic import Field, SecretStr

from alphapulse.data import queries
from alphapulse.runtime.admission import any_role, open_when
from alphapulse.runtime.envelope import trace_of
from alphapulse.runtime.http import FunctionResources, public_router, tenant_router
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.states import TenantStatus
from alphapulse.tenancy.tenant import TenantId
from functions.accounts import one_time_tokens, reauthentication, sessions, throttling
from functions.accounts.callers import PersonScope, client_of, principal_of
from functions.accounts.mails import TokenMail, send_later
from functions.accounts.one_time_tokens import Purpose
from functions.accounts.passwords import hash_password
from functions.accounts.schemas import Password, Request, SentCode, SentPassword

public = public_router()
router = tenant_router(stepped=True)
sql = queries.load(__file__, "password_changes.sql")
logger: structlog.stdlib.BoundLogger = structlog.get_logger()

_SETS_PASSWORD = (Purpose.RESET_PASSWORD, Purpose.INVITATION)
Token = Annotated[SecretStr, Field(max_length=200)]


class PasswordChange(Request):
    """The password as it is and as it shall be; a code too where the second factor is on."""

    current_password: SentPassword
    new_password: Password
    totp: SentCode | None = None


class ForgottenPassword(Request):
    """The address of an account, perhaps."""

    email: Annotated[str, Field(max_length=254)]


class PasswordReset(Request):
    """A token from a mail and the new password."""

    token: Token
    password: Password


class EmailVerification(Request):
    """A token from a mail."""

    token: Token


@router.post("/auth/password", status_code=204)
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def change_password(body: PasswordChange, scope: PersonScope) -> None:
    """Change the caller's password and end their other logins."""
    caller = principal_of(scope)
    user = await reauthentication.check_password(scope, body.current_password)
    await reauthentication.check_second_factor(scope, user, body.totp)
    password_hash = await hash_password(body.new_password.get_secret_value())
    async with scope.platform_transaction() as work:
        changed = await sql.change(
            work.session,
            tenant_id=scope.tenant_id.value,
            user_id=caller.user_id,
            password_hash=password_hash,
            shown=user["password_hash"],
            now=work.now,
        )
        if changed is None:
            raise reauthentication.WrongPassword("the password was changed meanwhile")
        ended = await sessions.revoke_all(
            work.session, scope.tenant_id, caller.user_id, now=work.now, keep=caller.session_id
        )
        await one_time_tokens.withdraw(work.session, caller.user_id, Purpose.RESET_PASSWORD)
        await work.audit(
            "user.password_changed",
            resource_type="user",
            resource_id=str(caller.user_id),
            details={"sessions_ended": ended},
        )


@public.post("/auth/password/forgot", status_code=202)
async def forgot_password(
    body: ForgottenPassword, request: HttpRequest, resources: FunctionResources
) -> dict[str, str]:
    """Send a token to the address if it has an account; the answer is the same if not."""
    logger.info("password_reset_asked_for", client=client_of(request, resources).address)
    resources.background.start(_send_reset(resources, body.email))
    return {"status": "if the address has an account, a mail is on its way"}


@public.post("/auth/password/reset", status_code=204)
async def reset_password(body: PasswordReset, request: HttpRequest, resources: FunctionResources) -> None:
    """Set a password with a token from a mail; all logins of the user end."""
    token = body.token.get_secret_value()
    tenant_id = one_time_tokens.tenant_of(token)
    scope = Scope(resources=resources, tenant_id=tenant_id, trace=trace_of(request.scope))
    async with scope.platform_transaction() as work:
        # Before the hash, which costs much and is for whoever has a token.
        await one_time_tokens.check(work.session, token, *_SETS_PASSWORD, now=work.now)
    password_hash = await hash_password(body.password.get_secret_value())
    async with scope.platform_transaction() as work:
        user = await one_time_tokens.use(work.session, token, *_SETS_PASSWORD, now=work.now)
        of_user = {"tenant_id": tenant_id.value, "user_id": user["user_id"]}
        changed = await sql.set_password(work.session, **of_user, password_hash=password_hash, now=work.now)
        if changed is None:
            raise one_time_tokens.InvalidOneTimeToken
        ended = await sessions.revoke_all(work.session, tenant_id, user["user_id"], now=work.now)
        await one_time_tokens.withdraw(work.session, user["user_id"], *Purpose)
        await throttling.forgive(work.session, user["email"], **of_user)
        invited = user["purpose"] == Purpose.INVITATION
        await work.audit(
            "user.invitation_accepted" if invited else "user.password_reset",
            resource_type="user",
            resource_id=str(user["user_id"]),
            details={"sessions_ended": ended},
        )


@public.post("/auth/email/verify", status_code=204)
async def verify_email(body: EmailVerification, request: HttpRequest, resources: FunctionResources) -> None:
    """Prove an address with the token that was sent to it."""
    token = body.token.get_secret_value()
    tenant_id = one_time_tokens.tenant_of(token)
    scope = Scope(resources=resources, tenant_id=tenant_id, trace=trace_of(request.scope))
    async with scope.platform_transaction() as work:
        user = await one_time_tokens.use(work.session, token, Purpose.VERIFY_EMAIL, now=work.now)
        user_id = user["user_id"]
        await sql.verify_email(work.session, tenant_id=tenant_id.value, user_id=user_id, now=work.now)
        await work.audit("user.email_verified", resource_type="user", resource_id=str(user_id))


@router.post("/auth/email/verification", status_code=202)
@any_role
@open_when(TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
async def ask_for_verification(scope: PersonScope) -> dict[str, str]:
    """Send the caller a new token, unless the address is verified."""
    user_id = principal_of(scope).user_id
    async with scope.platform_transaction() as work:
        user = await sql.unverified(work.session, tenant_id=scope.tenant_id.value, user_id=user_id)
    if user is not None:
        await send_token(scope.resources, scope.tenant_id, user_id, user["email"], Purpose.VERIFY_EMAIL)
    return {"status": "verified" if user is None else "a mail is on its way"}


async def send_token(
    resources: Resources, tenant_id: TenantId, user_id: uuid.UUID, email: str, purpose: Purpose
) -> None:
    """Make a token and send it, unless the address has had several of the kind already.

    Raises
    ------
    functions.accounts.throttling.TooManyAttempts
        It has.
    """
    now = resources.clock()
    async with resources.platform.session() as session:
        key = throttling.account_key(email, of=f"mail-{purpose}")
        until = await throttling.charge(session, key, throttling.MAILS, now=now)
    if until is not None:
        raise throttling.refusal(until, now)
    async with resources.platform.session(tenant_id) as session:
        token = await one_time_tokens.issue(session, user_id=user_id, purpose=purpose, email=email, now=now)
    send_later(
        resources,
        TokenMail(tenant_id=tenant_id, user_id=user_id, to=email, purpose=purpose, token=token),
    )


async def _send_reset(resources: Resources, email: str) -> None:
    async with resources.platform.session() as session:
        user = await sql.user_of_email(session, email=email)
    if user is None:
        return
    tenant_id = TenantId(user["tenant_id"])
    try:
        await send_token(resources, tenant_id, user["id"], user["email"], Purpose.RESET_PASSWORD)
    except throttling.TooManyAttempts:
        logger.warning("password_reset_not_sent", reason="too_many_attempts", tenant_id=str(tenant_id))
