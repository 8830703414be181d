"""What else is done with stored keys: looking at them, checking one, removing one."""

import uuid

from starlette.responses import Response

from alphapulse.data import queries
from alphapulse.runtime.errors import NotFound
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.trading.credentials.checking import check as check_key
from alphapulse.trading.credentials.records import Credential, all_of, load, lock
from alphapulse.trading.credentials.removal import finish_removal
from alphapulse.trading.settlement import lock_account
from functions.credentials.refusals import CredentialRevoked, OpenOrders, require_owner
from functions.credentials.replays import Key, Replays
from functions.credentials.schemas import CredentialList, CredentialView

_OK, _NO_CONTENT = 200, 204

sql = queries.load(__file__)


def parse_id(text: str) -> uuid.UUID:
    """Return the id in a path; what is no id is the id of nothing.

    Raises
    ------
    NotFound
        The text is no UUID in its canonical form.
    """
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != text:
        raise NotFound("there is no such credential")
    return parsed


async def listing(work: TenantWork) -> CredentialList:
    """Return what is known of the tenant's keys."""
    return CredentialList(items=[CredentialView.of(one, now=work.now) for one in await all_of(work)])


async def check(scope: Scope, credential_id: uuid.UUID, *, key: Key | None) -> Response:
    """Ask the exchange about a stored key now; the third failure in a row stops trading with it.

    Raises
    ------
    NotFound, CredentialRevoked
        There is no such credential, or it is being removed.
    ExchangeFailed
        The exchange could not be asked; nothing has changed.
    """
    async with Replays(scope, key, "POST /credentials/{id}/check") as replays:
        if replays.first_answer is not None:
            return replays.first_answer
        async with scope.transaction() as work:
            credential = await load(work, credential_id)
        if credential.is_revoked:
            raise CredentialRevoked(f"the credentials for {credential.exchange} are being removed")
        checked = await check_key(scope, credential)
        async with scope.transaction() as work:
            return await replays.answer(work, _OK, CredentialView.of(checked, now=work.now))


async def remove(scope: Scope, credential_id: uuid.UUID, *, force: bool, key: Key | None) -> Response:
    """Remove a key: revoked first, then out of Vault in all versions, then its row.

    When Vault does not answer, the key stays revoked; the request may be repeated, and a sweep ends it.

    Raises
    ------
    OwnerOnly, NotFound
        The caller is not the owner, or there is no such credential.
    OpenOrders
        Orders of the exchange have not ended, and `force` was not asked for.
    """
    require_owner(scope)
    async with Replays(scope, key, "DELETE /credentials/{id}") as replays:
        if replays.first_answer is not None:
            return replays.first_answer
        credential = await _revoke(scope, credential_id, force=force)
        await finish_removal(scope, credential.id, credential.exchange)
        async with scope.transaction() as work:
            return await replays.answer(work, _NO_CONTENT)


async def _revoke(scope: Scope, credential_id: uuid.UUID, *, force: bool) -> Credential:
    async with scope.transaction() as work:
        credential = await load(work, credential_id)
        # In this order everywhere: orders of the account stand still, so does its key.
        await lock_account(work, credential.exchange)
        await lock(work, credential.exchange)
        credential = await load(work, credential_id)
        if credential.is_revoked:
            return credential
        count = await sql.open_orders(
            work.session, tenant_id=work.tenant_id.value, exchange=credential.exchange
        )
        if count and not force:
            raise OpenOrders(
                f"{count} orders on {credential.exchange} have not ended; cancel them, or remove the "
                "credentials with force=true and follow the orders on the exchange yourself",
                extra={"open_orders": count},
            )
        await sql.revoke_credential(
            work.session, tenant_id=work.tenant_id.value, credential_id=credential_id, now=work.now
        )
        await work.audit(
            "credential.revoked",
            resource_type="credential",
            resource_id=str(credential_id),
            details={"exchange": credential.exchange, "open_orders": count, "forced": force},
        )
    return credential
