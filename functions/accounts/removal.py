"""Have a tenant deleted for good, at its owner's request."""

from alphapulse.data import queries
from alphapulse.data.errors import UniqueViolated
from alphapulse.provisioning.sweep import request_deletion
from alphapulse.runtime.errors import Conflict, NotPermitted
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.principal import Role
from alphapulse.tenancy.states import TenantStatus, change_status
from functions.accounts import reauthentication
from functions.accounts.schemas import DeleteTenant, DeletionAccepted

sql = queries.load(__file__, "removal.sql")


class OrdersOpen(Conflict):
    """An exchange still has orders of the tenant, which nobody could cancel any more."""

    code = "open_orders"
    title = "Open orders"


class RunNotEnded(Conflict):
    """The tenant is being provisioned or deleted."""

    code = "provisioning_running"
    title = "Provisioning is running"


async def delete(scope: Scope, request: DeleteTenant) -> DeletionAccepted:
    """Cancel the tenant and ask for its removal from all stores.

    Raises
    ------
    NotPermitted
        The caller is not the owner, or came with an API key.
    functions.accounts.reauthentication.WrongPassword
        The password is not the owner's.
    functions.accounts.logins.TotpRequired, functions.accounts.logins.InvalidTotp
        The owner's second factor is on, the code is missing or wrong.
    OrdersOpen
        Orders at an exchange have not ended.
    RunNotEnded
        Provisioning has not ended, or the deletion has begun.
    """
    principal = scope.principal
    if principal is None or principal.role is not Role.OWNER or principal.api_key_id is not None:
        raise NotPermitted("only the owner, logged in, may delete the tenant")
    tenant_id = scope.tenant_id
    user = await reauthentication.check_password(scope, request.password)
    await reauthentication.check_second_factor(scope, user, request.totp)
    async with scope.platform_transaction() as work:
        await _let_orders_end(work)
        open_orders = await sql.open_orders(work.session, tenant_id=tenant_id.value)
        if open_orders:
            raise OrdersOpen(f"{open_orders} orders at exchanges have not ended; cancel them first")
        try:
            run_id = await request_deletion(work)
        except UniqueViolated as error:
            raise RunNotEnded("the tenant is being provisioned or deleted; wait until that ends") from error
        await change_status(
            work.session, tenant_id, TenantStatus.CANCELLED, reason="deleted by its owner", now=work.now
        )
        await work.audit(
            "tenant.deletion_requested", resource_type="provisioning_run", resource_id=str(run_id)
        )
    return DeletionAccepted(
        tenant_id=tenant_id.value, status="cancelled", status_url=f"/tenants/{tenant_id}/provisioning"
    )


async def _let_orders_end(work: TenantWork) -> None:
    """Wait for orders that are being committed; those behind them find the tenant cancelled."""
    # 25 ms that only a deletion pays.
    from alphapulse.trading.settlement import lock_account  # noqa: PLC0415
    from alphapulse.venues.exchanges import BASE_URLS  # noqa: PLC0415

    for exchange in sorted(BASE_URLS):
        await lock_account(work, exchange)
