"""Logging in, and what a tenant is told about itself."""

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.runtime.errors import NotAuthenticated, NotFound
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.principal import Principal, Role, Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import LIMITS
from alphapulse.tenancy.tokens import TokenSigner
from functions.accounts import sessions
from functions.accounts.passwords import verify_password
from functions.accounts.schemas import Credentials, TenantView, Tokens

sql = queries.load(__file__)


class InvalidCredentials(NotAuthenticated):
    """Address and password do not belong together; which of the two is wrong is not said."""

    code = "invalid_credentials"


class InvalidRefreshToken(NotAuthenticated):
    """The refresh token is unknown, used, expired or revoked."""

    code = "invalid_refresh_token"


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
