"""Whether a key is good: a real call to its exchange, and what follows for the credential.

Invalid (422)
`-- KeyUnfit               the exchange refuses the key, or it may do too much or too little
ExchangeFailed (502)       the exchange could not be asked, which says nothing about the key
"""

import asyncio

from alphapulse.runtime.errors import ExchangeFailed, Invalid
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.trading.credentials.records import Credential, SecretMissing, secret_of, sql
from alphapulse.trading.trades import time_text
from alphapulse.venues.keys import ApiKeys, KeyPermissions
from alphapulse.venues.protocol import KeyRefused, VenueRateLimited, VenueUnavailable

#: So many failed checks in a row stop trading with a key.
FAILURES_ALLOWED = 3

_CHECK_SECONDS = 20.0
_UNREACHABLE_RETRY_SECONDS = 30


class KeyUnfit(Invalid):
    """The key cannot be used; `code` says why."""

    title = "Key not usable"


async def permissions_of(scope: Scope, exchange: str, keys: ApiKeys) -> KeyPermissions:
    """Return what a key may do, if that is to trade and not to withdraw.

    Raises
    ------
    KeyUnfit
        `withdrawal_permission`, `trade_permission_missing`, `read_permission_missing`, or what the
        exchange refused it for.
    ExchangeFailed
        The exchange could not be asked.
    """
    account = scope.resources.exchanges.account(exchange, keys)
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            permissions = await account.key_permissions()
    except KeyRefused as refused:
        raise KeyUnfit(str(refused), code=refused.code) from None
    except VenueRateLimited as limited:
        raise ExchangeFailed(
            str(limited), code="exchange_rate_limited", retry_after_seconds=limited.retry_after_seconds
        ) from None
    except (VenueUnavailable, TimeoutError) as failed:
        raise ExchangeFailed(
            str(failed) or f"{exchange} did not answer in time",
            code="exchange_unavailable",
            retry_after_seconds=_UNREACHABLE_RETRY_SECONDS,
        ) from None
    _require_fit(exchange, permissions)
    return permissions


async def check(scope: Scope, credential: Credential) -> Credential:
    """Ask the exchange about a stored key and record the result; return the credential as it then is.

    Raises
    ------
    ExchangeFailed
        The exchange could not be asked; nothing is recorded.
    """
    try:
        permissions = await permissions_of(scope, credential.exchange, await secret_of(scope, credential))
    except (KeyUnfit, SecretMissing) as unfit:
        async with scope.transaction() as work:
            return await _record_failure(work, credential, unfit)
    async with scope.transaction() as work:
        row = await sql.mark_valid(
            work.session,
            tenant_id=work.tenant_id.value,
            credential_id=credential.id,
            version=credential.version,
            permissions=list(permissions.names),
            ip_restricted=permissions.ip_restricted,
            now=work.now,
        )
        if row is not None and credential.status != "valid":
            await work.audit(
                "credential.recovered",
                resource_type="credential",
                resource_id=str(credential.id),
                details={"exchange": credential.exchange},
            )
    return credential if row is None else Credential.from_row(row)


def _require_fit(exchange: str, permissions: KeyPermissions) -> None:
    if permissions.can_withdraw:
        raise KeyUnfit(
            f"the key may withdraw from {exchange}; make one that may only read and trade",
            code="withdrawal_permission",
        )
    if not permissions.can_trade:
        raise KeyUnfit(
            f"the key may not place and cancel orders on {exchange}", code="trade_permission_missing"
        )
    if not permissions.can_read:
        raise KeyUnfit(
            f"the key may not read balances and orders on {exchange}", code="read_permission_missing"
        )


async def _record_failure(work: TenantWork, credential: Credential, unfit: Invalid) -> Credential:
    # A key that may withdraw is not doubtful but dangerous: the first time is enough.
    at_once = unfit.code == "withdrawal_permission"
    before = await sql.status_before_change(
        work.session, tenant_id=work.tenant_id.value, credential_id=credential.id
    )
    row = await sql.mark_failure(
        work.session,
        tenant_id=work.tenant_id.value,
        credential_id=credential.id,
        version=credential.version,
        failure=unfit.code,
        limit=1 if at_once else FAILURES_ALLOWED,
        now=work.now,
    )
    if row is None:
        return credential
    failed = Credential.from_row(row)
    if failed.status == "failed" and before != "failed":
        await _announce(work, failed, unfit)
    return failed


async def _announce(work: TenantWork, failed: Credential, unfit: Invalid) -> None:
    await work.audit(
        "credential.failed",
        resource_type="credential",
        resource_id=str(failed.id),
        details={"exchange": failed.exchange, "reason": unfit.code, "failures": failed.failures},
    )
    await work.emit(
        "credential.failed",
        {
            "exchange": failed.exchange,
            "credential_id": str(failed.id),
            "vault_version": failed.version,
            "reason": unfit.code,
            "failures": failed.failures,
            "failed_at": time_text(work.now),
        },
    )
    await work.emit(
        "notification.requested",
        {
            "kind": "credential_failed",
            "recipient": "owner",
            "parameters": {"exchange": failed.exchange, "reason": unfit.detail},
            "dedupe_key": f"credential_failed:{failed.id}:{work.now.isoformat()}",
        },
    )
