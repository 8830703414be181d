"""Logging in, staying logged in, logging out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import audit, queries
from alphapulse.data.audit import AuditEntry
from alphapulse.runtime.authentication import csrf_hash
from alphapulse.runtime.errors import NotAuthenticated
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.signing_keys import KeyRing
from alphapulse.tenancy.tenant import TenantId
from functions.accounts import second_factor, sessions, throttling
from functions.accounts.callers import Client
from functions.accounts.passwords import rehashed, verify_password
from functions.accounts.schemas import Credentials, Tokens

sql = queries.load(__file__, "logins.sql")


class InvalidCredentials(NotAuthenticated):
    """Address and password do not belong together; which of the two is wrong is not said."""

    code = "invalid_credentials"


class InvalidRefreshToken(NotAuthenticated):
    """The refresh token is unknown, used, expired or revoked."""

    code = "invalid_refresh_token"


class TotpRequired(NotAuthenticated):
    """The password is right, and the account asks for a code too."""

    code = "totp_required"


class InvalidTotp(NotAuthenticated):
    """The code is wrong, was used before, or is too old."""

    code = "invalid_totp"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """A login under way; `count` is the key of the count that judges it."""

    count: str
    client: Client
    trace: Trace


async def log_in(
    resources: Resources,
    keys: KeyRing,
    request: Credentials,
    *,
    client: Client,
    trace: Trace,
    csrf_token: str | None = None,
) -> Tokens:
    """Return tokens of a new login.

    Raises
    ------
    InvalidCredentials
        Unknown address or wrong password.
    TotpRequired, InvalidTotp
        The password is right, the code is missing or wrong.
    functions.accounts.throttling.TooManyAttempts
        The address or the client is locked for a while.
    """
    count = await throttling.begin(resources, request.email, client)
    attempt = _Attempt(count=count, client=client, trace=trace)
    user = await _verified(resources, request, attempt=attempt)
    await _check_second_factor(resources, user, request, attempt=attempt)
    principal = Principal(
        tenant_id=TenantId(user["tenant_id"]),
        user_id=user["id"],
        role=Role(user["role"]),
        tier=Tier(user["tier"]),
        session_id=uuid7(),
        csrf_hash=None if csrf_token is None else csrf_hash(csrf_token),
    )
    new_hash = await rehashed(user["password_hash"], request.password.get_secret_value())
    return await _begin_session(resources, keys, principal, user=user, new_hash=new_hash, attempt=attempt)


async def refresh(
    resources: Resources,
    keys: KeyRing,
    refresh_token: str,
    *,
    client: Client,
    check: Callable[[Principal], None] | None = None,
) -> Tokens:
    """Return new tokens for a refresh token, which is used up.

    Parameters
    ----------
    check
        Refuses, by raising, before anything has changed.

    Raises
    ------
    InvalidRefreshToken
        Unknown, expired or revoked; or used before, in which case its whole login is revoked,
        because one of the two users of it is a thief.
    """
    now = resources.clock()
    signer = await keys.signer()
    async with resources.platform.session() as session:
        found = await sessions.locked(session, refresh_token)
        if found is None or found["revoked_at"] is not None or found["expires_at"] <= now:
            raise InvalidRefreshToken("the refresh token is not valid; log in again")
        principal = sessions.principal_of_session(found)
        if check is not None:
            check(principal)
        if found["rotated_at"] is None:
            await sessions.rotated(session, found, now=now)
            return await sessions.issue(session, signer, principal, client=client, now=now)
        await sessions.revoke_login(session, principal, now=now)
    resources.background.start(_audit(resources, principal, "session.token_reused", details=_seen(client)))
    raise InvalidRefreshToken("the refresh token was used before; log in again")


async def log_out(
    resources: Resources,
    refresh_token: str,
    *,
    everywhere: bool = False,
    check: Callable[[Principal], None] | None = None,
) -> None:
    """Revoke the login of a refresh token, or all of its user; an unknown token is no error."""
    now = resources.clock()
    async with resources.platform.session() as session:
        found = await sessions.locked(session, refresh_token)
        if found is None or found["revoked_at"] is not None:
            return
        principal = sessions.principal_of_session(found)
        if check is not None:
            check(principal)
        if everywhere:
            await sessions.revoke_all(session, principal.tenant_id, principal.user_id, now=now)
        else:
            await sessions.revoke_login(session, principal, now=now)
    await _audit(resources, principal, "user.logged_out", details={"everywhere": everywhere})


async def _verified(resources: Resources, request: Credentials, *, attempt: _Attempt) -> Any:
    async with resources.platform.session() as session:
        user = await sql.login_of_email(session, email=request.email)
    encoded = user["password_hash"] if user else None
    if await verify_password(encoded, request.password.get_secret_value()) and user is not None:
        return user
    await throttling.failed(resources, attempt.client)
    if user is not None:
        # Beside the answer, which must take as long for an address without an account.
        resources.background.start(_report(resources, user, attempt=attempt))
    raise InvalidCredentials("e-mail address or password is wrong")


async def _check_second_factor(
    resources: Resources, user: Any, request: Credentials, *, attempt: _Attempt
) -> None:
    if user["totp_enabled_at"] is None:
        return
    if request.totp is None:
        await throttling.refund(resources, attempt.count)
        raise TotpRequired("a code of the second factor is needed")
    code = request.totp.get_secret_value()
    if not await second_factor.accepts(resources, TenantId(user["tenant_id"]), user["id"], code):
        await throttling.failed(resources, attempt.client)
        resources.background.start(_report(resources, user, attempt=attempt))
        raise InvalidTotp("the code is wrong or was used before")


async def _begin_session(
    resources: Resources,
    keys: KeyRing,
    principal: Principal,
    *,
    user: Any,
    new_hash: str | None,
    attempt: _Attempt,
) -> Tokens:
    signer = await keys.signer()
    scope = Scope(
        resources=resources, tenant_id=principal.tenant_id, trace=attempt.trace, principal=principal
    )
    async with scope.platform_transaction() as work:
        noted = await sql.note_login(
            work.session,
            tenant_id=principal.tenant_id.value,
            user_id=principal.user_id,
            password_hash=user["password_hash"],
            rehashed=new_hash,
            now=work.now,
        )
        if noted is None:
            raise InvalidCredentials("e-mail address or password is wrong")
        await throttling.succeeded(work.session, attempt.count)
        await sessions.forget_expired(work.session, principal, now=work.now)
        await work.audit("user.logged_in", resource_type="session", resource_id=str(principal.session_id),
                         details=_seen(attempt.client))  # fmt: skip
        return await sessions.issue(work.session, signer, principal, client=attempt.client, now=work.now)


async def _report(resources: Resources, user: Any, *, attempt: _Attempt) -> None:
    """Audit failures of an account, at most one a minute of each count, with the number of them."""
    tenant_id = TenantId(user["tenant_id"])
    async with resources.platform.session(tenant_id) as session:
        attempts = await throttling.unreported(session, attempt.count, now=resources.clock())
        if attempts is None:
            return
        entry = AuditEntry(
            actor_type="function",
            actor_id="accounts",
            action="user.login_failed",
            resource_type="user",
            resource_id=str(user["id"]),
            details={"attempts": attempts, **_seen(attempt.client)},
            trace_id=attempt.trace.trace_id,
        )
        await audit.append(session, tenant_id.value, entry)


async def _audit(resources: Resources, principal: Principal, action: str, *, details: dict[str, Any]) -> None:
    entry = AuditEntry(
        actor_type="user",
        actor_id=str(principal.user_id),
        action=action,
        resource_type="session",
        resource_id=str(principal.session_id),
        details=details,
    )
    async with resources.platform.session(principal.tenant_id) as session:
        await audit.append(session, principal.tenant_id.value, entry)


def _seen(client: Client) -> dict[str, str]:
    return {"address": client.address, "client": client.agent}
