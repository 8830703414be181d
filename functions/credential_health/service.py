"""Check every stored key now and then, and remove what is left over in Vault."""

import asyncio
import datetime as dt

import structlog

from alphapulse.data import queries
from alphapulse.runtime.errors import DependencyDown, ExchangeFailed
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.sending import send
from alphapulse.runtime.trace import Trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.tenant import TenantId
from alphapulse.trading.credentials.checking import check
from alphapulse.trading.credentials.records import Credential, all_of
from alphapulse.trading.credentials.removal import sweep
from alphapulse.trading.trades import time_text

# Exchanges count requests by address, and all tenants' checks come from the same few: so they are asked
# for over minutes. How many run at once is what the Service's concurrency allows.
_AT_ONCE = 50
_PAUSE_SECONDS = 1.0

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

sql = queries.load(__file__)


async def request_for_all(resources: Resources, trace: Trace, *, requested_at: dt.datetime) -> int:
    """Ask for a check of every living tenant's credentials; return how many tenants there are.

    Raises
    ------
    DependencyDown
        The broker took only some of the requests; asking again asks for checks of the same time, which
        are done once.
    """
    async with resources.platform.session() as session:
        tenants = [row["id"] async for row in sql.living_tenants(session)]
    asked = {"requested_at": time_text(requested_at)}
    for start in range(0, len(tenants), _AT_ONCE):
        if start:
            await asyncio.sleep(_PAUSE_SECONDS)
        scopes = [
            Scope(resources=resources, tenant_id=TenantId(tenant), trace=trace)
            for tenant in tenants[start : start + _AT_ONCE]
        ]
        requests = [scope.event("credential.check.requested", asked) for scope in scopes]
        if len(await send(resources.publisher, requests)) < len(requests):
            raise DependencyDown("the broker does not take requests")
    return len(tenants)


async def check_tenant(scope: Scope, *, requested_at: dt.datetime) -> None:
    """Check a tenant's keys that have not been checked since, one after the other, then sweep.

    An exchange that does not answer says nothing about a key: it is asked again at the next check.

    Raises
    ------
    VaultUnavailable
        To be delivered again.
    """
    async with scope.transaction() as work:
        if not await sql.is_living(work.session, tenant_id=work.tenant_id.value):
            return  # deleted since it was asked for; Vault knows nothing of it any more
        credentials = await all_of(work)
    for credential in credentials:
        if _is_due(credential, requested_at):
            await _checked(scope, credential)
    removed = await sweep(scope)
    logger.info("credentials_checked", count=len(credentials), secrets_removed=removed)


def _is_due(credential: Credential, requested_at: dt.datetime) -> bool:
    # So a request that is delivered twice does not count one failure twice.
    fresh = credential.checked_at is not None and credential.checked_at >= requested_at
    return not credential.is_revoked and not fresh


async def _checked(scope: Scope, credential: Credential) -> None:
    try:
        checked = await check(scope, credential)
    except ExchangeFailed as failed:
        logger.warning(
            "credential_not_checked",
            exchange=credential.exchange,
            credential_id=str(credential.id),
            code=failed.code,
        )
        return
    if checked.failures:
        logger.warning(
            "credential_check_failed",
            exchange=credential.exchange,
            credential_id=str(credential.id),
            reason=checked.failure,
            failures=checked.failures,
        )
