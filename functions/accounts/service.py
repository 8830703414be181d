"""Signing up, logging in, and what a tenant is told about itself."""

import datetime as dt
from decimal import Decimal

from uuid_utils.compat import uuid7

from alphapulse.data import idempotency, queries
from alphapulse.runtime.errors import Conflict, Invalid, NotAuthenticated, NotFound
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import LIMITS
from alphapulse.tenancy.tokens import TokenSigner
from functions.accounts import sessions
from functions.accounts.passwords import hash_password, verify_password
from functions.accounts.schemas import (
    Credentials,
    Provisioning,
    SignUp,
    SignUpAccepted,
    Step,
    TenantView,
    Tokens,
)

TRIAL = dt.timedelta(days=14)
PROVISIONING_DEADLINE = dt.timedelta(minutes=2)
PAPER_CASH = Decimal(100_000)
_ACCEPTED = 202

sql = queries.load(__file__)


class EmailTaken(Conflict):
    """The address has an account."""

    code = "email_taken"
    title = "E-mail address taken"


class InvalidCredentials(NotAuthenticated):
    """Address and password do not belong together; which of the two is wrong is not said."""

    code = "invalid_credentials"


class InvalidRefreshToken(NotAuthenticated):
    """The refresh token is unknown, used, expired or revoked."""

    code = "invalid_refresh_token"


async def sign_up(
    resources: Resources, request: SignUp, *, trace: Trace, key: str | None, fingerprint: bytes
) -> SignUpAccepted:
    """Create the tenant, its owner and its paper account in one transaction.

    Raises
    ------
    EmailTaken
        The address has an account, and this is no replay of the request that made it.
    """
    password_hash = await hash_password(request.password.get_secret_value())
    scope = Scope(resources=resources, tenant_id=TenantId.new(), trace=trace)
    try:
        async with scope.platform_transaction() as work:
            return await _create_tenant(work, request, password_hash, key=key, fingerprint=fingerprint)
    except EmailTaken:
        if key is None:
            raise
        return await _first_answer(resources, request, key=key, fingerprint=fingerprint)


async def log_in(resources: Resources, signer: TokenSigner, request: Credentials) -> Tokens:
    """Return tokens of a new login.

    Raises
    ------
    InvalidCredentials
        Unknown address or wrong password.
    """
    async with resources.platform.session() as session:
        user = await sql.login_of_email(session, email=request.email)
    encoded = user["password_hash"] if user else None
    if not await verify_password(encoded, request.password.get_secret_value()) or user is None:
        raise InvalidCredentials("e-mail address or password is wrong")
    principal = Principal(
        tenant_id=TenantId(user["tenant_id"]),
        user_id=user["id"],
        role=Role(user["role"]),
        tier=Tier(user["tier"]),
        session_id=uuid7(),
    )
    async with resources.platform.session(principal.tenant_id) as session:
        await sql.note_login(
            session, tenant_id=principal.tenant_id.value, user_id=principal.user_id, now=resources.clock()
        )
        return await sessions.issue(session, resources, signer, principal)


async def refresh(resources: Resources, signer: TokenSigner, refresh_token: str) -> Tokens:
    """Return new tokens for a refresh token, which is used up.

    Raises
    ------
    InvalidRefreshToken
        Unknown, expired or revoked; or used before, in which case its whole login is revoked,
        because one of the two users of it is a thief.
    """
    now = resources.clock()
    async with resources.platform.session() as session:
        found = await sessions.locked(session, refresh_token)
        if found is None or found["revoked_at"] is not None or found["expires_at"] <= now:
            raise InvalidRefreshToken("the refresh token is not valid; log in again")
        if found["rotated_at"] is None:
            await sql.rotate_session(session, tenant_id=found["tenant_id"], session_id=found["id"], now=now)
            return await sessions.issue(session, resources, signer, sessions.principal_of(found))
        await sql.revoke_family(session, tenant_id=found["tenant_id"], family_id=found["family_id"], now=now)
    raise InvalidRefreshToken("the refresh token was used before; log in again")


async def log_out(resources: Resources, refresh_token: str) -> None:
    """Revoke the login of a refresh token; an unknown token is no error."""
    async with resources.platform.session() as session:
        found = await sessions.locked(session, refresh_token)
        if found is not None:
            await sql.revoke_family(
                session,
                tenant_id=found["tenant_id"],
                family_id=found["family_id"],
                now=resources.clock(),
            )


async def tenant_view(work: TenantWork) -> TenantView:
    """Return the caller's tenant with its tier's limits and what it uses of them."""
    row = await sql.tenant(work.session, tenant_id=work.tenant_id.value)
    if row is None:
        raise NotFound("there is no such tenant")
    limits = LIMITS[Tier(row["tier"])]
    return TenantView(
        id=row["id"],
        company=row["company"],
        tier=row["tier"],
        status=row["status"],
        created_at=row["created_at"],
        limits={
            "agents": limits.agents,
            "open_positions": limits.open_positions,
            "api_calls_per_day": limits.api_calls_per_day,
            "requests_per_minute": limits.requests_per_minute,
            "cache_bytes": limits.cache_bytes,
            "max_leverage": str(limits.max_leverage),
        },
        usage={"open_positions": row["open_positions"]},
    )


async def provisioning(work: TenantWork, tenant_id: str) -> Provisioning:
    """Return the provisioning steps of the caller's own tenant.

    Raises
    ------
    NotFound
        The id is another tenant's, or none.
    """
    if tenant_id != str(work.tenant_id):
        raise NotFound("there is no such tenant")
    tenant = await sql.tenant(work.session, tenant_id=work.tenant_id.value)
    if tenant is None:
        raise NotFound("there is no such tenant")
    steps = sql.provisioning_steps(work.session, tenant_id=work.tenant_id.value)
    return Provisioning(
        tenant_id=work.tenant_id.value,
        status=tenant["status"],
        steps=[Step.model_validate(dict(step)) async for step in steps],
    )


async def _create_tenant(
    work: TenantWork, request: SignUp, password_hash: str, *, key: str | None, fingerprint: bytes
) -> SignUpAccepted:
    tenant_id, now, session = work.tenant_id.value, work.now, work.session
    await sql.insert_tenant(
        session,
        tenant_id=tenant_id,
        company=request.company,
        tier=request.tier.value,
        trial_ends_at=now + TRIAL,
        now=now,
    )
    owner = await sql.insert_owner(
        session,
        tenant_id=tenant_id,
        user_id=uuid7(),
        email=request.email,
        password_hash=password_hash,
        now=now,
    )
    if owner is None:
        raise EmailTaken("this e-mail address has an account; log in instead")
    await sql.insert_paper_account(
        session,
        tenant_id=tenant_id,
        max_leverage=LIMITS[request.tier].max_leverage,
        cash=PAPER_CASH,
        now=now,
    )
    await sql.insert_provisioning(
        session,
        tenant_id=tenant_id,
        run_id=uuid7(),
        step_id=uuid7(),
        deadline_at=now + PROVISIONING_DEADLINE,
        now=now,
    )
    facts = {"tenant_id": str(tenant_id), "tier": request.tier.value}
    await work.emit("tenant.signup.requested", facts | {"requested_at": now.isoformat()})
    await work.emit("tenant.activated", facts | {"activated_at": now.isoformat()})
    accepted = SignUpAccepted(
        tenant_id=tenant_id, status="active", status_url=f"/tenants/{tenant_id}/provisioning"
    )
    if key is not None:
        await idempotency.claim(session, key, operation=_OPERATION, fingerprint=fingerprint)
        await idempotency.store(
            session, key, status=_ACCEPTED, body=accepted.model_dump_json().encode(), headers={}
        )
    return accepted


async def _first_answer(
    resources: Resources, request: SignUp, *, key: str, fingerprint: bytes
) -> SignUpAccepted:
    """Return what the first sign-up with this key and address was answered."""
    taken = EmailTaken("this e-mail address has an account; log in instead")
    async with resources.platform.session() as session:
        owner = await sql.owner_of_email(session, email=request.email)
    if owner is None:
        raise taken
    # The fingerprint leaves the password out, so that no fast hash of it is stored.
    same_password = await verify_password(owner["password_hash"], request.password.get_secret_value())
    async with resources.platform.session(TenantId(owner["tenant_id"])) as session:
        match await idempotency.claim(session, key, operation=_OPERATION, fingerprint=fingerprint):
            case idempotency.Replay(body=body) if same_password:
                return SignUpAccepted.model_validate_json(body)
            case idempotency.Reused() | idempotency.Replay():
                raise Invalid(
                    "this Idempotency-Key was used with another request", code="idempotency_key_reused"
                )
            case _:
                raise taken  # and the claim is rolled back


_OPERATION = "POST /auth/signup"
