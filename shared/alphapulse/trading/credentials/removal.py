"""Removing secrets from Vault: of revoked credentials, retired versions, and what no row names."""

import uuid

from alphapulse.runtime.errors import NotFound
from alphapulse.runtime.work import Scope
from alphapulse.trading.credentials.records import (
    FOLDER,
    Credential,
    all_of,
    load,
    lock,
    of_exchange,
    retired_json,
    sql,
)


async def finish_removal(scope: Scope, credential_id: uuid.UUID, exchange: str) -> bool:
    """Remove the secret of a revoked credential and then its row; return whether this call did it.

    Under the lock of the exchange's key, so that a key that is stored afterwards is left alone. A crash
    after Vault has forgotten the secret leaves a revoked row, which is removed next time.
    """
    async with scope.transaction() as work:
        await lock(work, exchange)
        try:
            credential = await load(work, credential_id)
        except NotFound:
            return False
        if not credential.is_revoked:
            return False
        await scope.resources.vault.tenant(scope.tenant_id).delete(FOLDER, exchange)
        await sql.delete_revoked(work.session, tenant_id=work.tenant_id.value, credential_id=credential_id)
        await work.audit(
            "credential.removed",
            resource_type="credential",
            resource_id=str(credential_id),
            details={"exchange": exchange},
        )
    return True


async def sweep(scope: Scope) -> int:
    """Remove everything of the tenant's in Vault that is not in use; return how many secrets or versions."""
    async with scope.transaction() as work:
        credentials = await all_of(work)
    vault = scope.resources.vault.tenant(scope.tenant_id)
    names = {name for name in await vault.list(FOLDER) if not name.endswith("/")}
    removed = 0
    for credential in credentials:
        names.discard(credential.exchange)
        if credential.is_revoked:
            removed += await finish_removal(scope, credential.id, credential.exchange)
        else:
            removed += await tidy(scope, credential.exchange)
    for exchange in sorted(names):
        removed += await tidy(scope, exchange)
    return removed


async def tidy(scope: Scope, exchange: str) -> int:
    """Destroy the versions of one key that no row names any more; return how many.

    Who writes a version holds the lock until its row is committed; so, with the lock, what no row names
    is left over from a writer that died or has rotated it out.
    """
    vault = scope.resources.vault.tenant(scope.tenant_id)
    async with scope.transaction() as work:
        await lock(work, exchange)
        credential = await of_exchange(work, exchange)
        versions = await vault.versions(FOLDER, exchange)
        if credential is None:
            if versions.newest:
                await vault.delete(FOLDER, exchange)
            return len(versions.kept)
        kept = credential.kept(work.now)
        unused = _unused(credential, versions.kept, {retired.version for retired in kept})
        if unused:
            await vault.destroy(FOLDER, exchange, versions=unused)
        if len(kept) < len(credential.retired):
            await sql.set_retired(
                work.session,
                tenant_id=work.tenant_id.value,
                credential_id=credential.id,
                retired=retired_json(kept),
            )
    return len(unused)


def _unused(credential: Credential, stored: tuple[int, ...], retired: set[int]) -> list[int]:
    # A row that is being removed keeps its secret until its own removal.
    if credential.is_revoked:
        return []
    return [version for version in stored if version != credential.version and version not in retired]
