"""Storing and rotating a key: the exchange is asked, Vault is written, then the row.

The answer of an `Idempotency-Key` is committed with the row.
"""

import datetime as dt
import uuid
from collections.abc import Sequence

from starlette.responses import Response
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.vault.errors import CasMismatch
from alphapulse.trading.credentials.checking import permissions_of
from alphapulse.trading.credentials.records import (
    FOLDER,
    Credential,
    Retired,
    load,
    lock,
    of_exchange,
    retired_json,
)
from alphapulse.trading.credentials.removal import tidy
from alphapulse.trading.trades import time_text
from alphapulse.venues.keys import ApiKeys, KeyPermissions
from functions.credentials.refusals import (
    CredentialChanged,
    CredentialExists,
    CredentialRevoked,
    require_owner,
)
from functions.credentials.replays import Key, Replays
from functions.credentials.schemas import CredentialView, NewCredential, NewKeys

#: How long a rotated key is kept, so that what was begun with it can be ended.
GRACE = dt.timedelta(hours=24)
_CREATED, _OK = 201, 200

sql = queries.load(__file__)


async def store(scope: Scope, request: NewCredential, *, key: Key | None) -> Response:
    """Store a key that the exchange has confirmed.

    Raises
    ------
    OwnerOnly, CredentialExists, CredentialRevoked, CredentialChanged
        As they say; nothing is stored.
    alphapulse.trading.credentials.checking.KeyUnfit
        The key may withdraw, or may not trade, or is not accepted.
    ExchangeFailed
        The exchange could not be asked; nothing is stored.
    """
    require_owner(scope)
    async with Replays(scope, key, "POST /credentials", keys=request.keys) as replays:
        if replays.first_answer is not None:
            return replays.first_answer
        async with scope.transaction() as work:
            _refuse_second(await of_exchange(work, request.exchange))
        permissions = await permissions_of(scope, request.exchange, request.keys)
        async with scope.transaction() as work:
            await lock(work, request.exchange)
            _refuse_second(await of_exchange(work, request.exchange))
            credential_id = uuid7()
            version = await _write(work, credential_id, request.exchange, request.keys, permissions)
            stored = await _insert(work, credential_id, request, permissions, version=version)
            await _announce(work, stored, "credential.stored")
            return await replays.answer(work, _CREATED, CredentialView.of(stored, now=work.now))


async def rotate(scope: Scope, credential_id: uuid.UUID, request: NewKeys, *, key: Key | None) -> Response:
    """Replace a key by another one that the exchange has confirmed; the old one is kept for a day.

    Raises
    ------
    NotFound
        There is no such credential of this tenant.
    Others
        As for `store`.
    """
    require_owner(scope)
    async with Replays(scope, key, "PUT /credentials/{id}", keys=request.keys) as replays:
        if replays.first_answer is not None:
            return replays.first_answer
        async with scope.transaction() as work:
            before = await load(work, credential_id)
        _refuse_revoked(before)
        permissions = await permissions_of(scope, before.exchange, request.keys)
        async with scope.transaction() as work:
            await lock(work, before.exchange)
            now = await load(work, credential_id)
            _refuse_revoked(now)
            if now.version != before.version:
                raise CredentialChanged("the credentials were changed by another request; look at them first")
            version = await _write(work, credential_id, before.exchange, request.keys, permissions)
            stored = await _update(work, now, request, permissions, version=version)
            await _announce(work, stored, "credential.rotated")
            return await replays.answer(work, _OK, CredentialView.of(stored, now=work.now))


def _refuse_second(found: Credential | None) -> None:
    if found is None:
        return
    _refuse_revoked(found)
    raise CredentialExists(
        f"there are credentials for {found.exchange}; rotate or remove them",
        extra={"credential_id": str(found.id)},
    )


def _refuse_revoked(found: Credential) -> None:
    if found.is_revoked:
        raise CredentialRevoked(f"the credentials for {found.exchange} are being removed; remove them again")


async def _write(
    work: TenantWork, credential_id: uuid.UUID, exchange: str, keys: ApiKeys, permissions: KeyPermissions
) -> int:
    """Write a version and return its number; a writer that died may have left some that no row names."""
    vault = work.scope.resources.vault.tenant(work.tenant_id)
    newest = (await vault.versions(FOLDER, exchange)).newest
    data = keys.to_secret() | {
        "permissions": ",".join(permissions.names),
        "credential_id": str(credential_id),
    }
    try:
        version = await vault.write(FOLDER, exchange, data=data, cas=newest)
    except CasMismatch:
        raise CredentialChanged("the credentials were changed by another request") from None
    if newest:

        async def remove_leftovers() -> None:
            await tidy(work.scope, exchange)

        work.after_commit(remove_leftovers)
    return version


async def _insert(
    work: TenantWork,
    credential_id: uuid.UUID,
    request: NewCredential,
    permissions: KeyPermissions,
    *,
    version: int,
) -> Credential:
    row = await sql.insert_credential(
        work.session,
        tenant_id=work.tenant_id.value,
        credential_id=credential_id,
        exchange=request.exchange,
        label=request.label or "",
        key_hint=request.hint,
        version=version,
        permissions=list(permissions.names),
        ip_restricted=permissions.ip_restricted,
        now=work.now,
    )
    return Credential.from_row(row)


async def _update(
    work: TenantWork, before: Credential, request: NewKeys, permissions: KeyPermissions, *, version: int
) -> Credential:
    retired: Sequence[Retired] = [*before.kept(work.now), Retired(before.version, work.now + GRACE)]
    row = await sql.rotate_credential(
        work.session,
        tenant_id=work.tenant_id.value,
        credential_id=before.id,
        version=version,
        retired=retired_json(retired),
        label=request.label,
        key_hint=request.hint,
        permissions=list(permissions.names),
        ip_restricted=permissions.ip_restricted,
        now=work.now,
    )
    return Credential.from_row(row)


async def _announce(work: TenantWork, stored: Credential, action: str) -> None:
    facts = {"exchange": stored.exchange, "vault_version": stored.version}
    await work.audit(action, resource_type="credential", resource_id=str(stored.id), details=facts)
    await work.emit(
        "credential.stored",
        facts | {"credential_id": str(stored.id), "stored_at": time_text(work.now)},
    )
