"""The database as one tenant sees it."""

from typing import TYPE_CHECKING, Any, final

from alphapulse.data.pool import LazyPool, Transaction, begin_for
from alphapulse.data.session import Session
from alphapulse.tenancy.tenant import TenantId

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


@final
class TenantSession(Session):
    """The statements of one transaction of one tenant.

    Row-level security hides all other tenants' rows. Queries name `tenant_id` all the same: the
    planner then finds the partition and the index, and the check of the setting costs nothing.
    """

    __slots__ = ("tenant_id",)

    def __init__(self, connection: "PoolConnectionProxy[Any]", *, tenant_id: TenantId) -> None:
        super().__init__(connection, tenant=tenant_id.value)
        self.tenant_id = tenant_id


class Database:
    """PostgreSQL with the role `alphapulse_app`; opened by the first transaction.

    Parameters
    ----------
    url
        Connection URL with the role's password; never logged.
    application_name
        The function's name.
    min_size, max_size
        Connections kept and allowed.
    statement_cache_size
        0 behind PgBouncer older than 1.21 in transaction mode; nothing else is session state.
    """

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        min_size: int = 0,
        max_size: int = 8,
        statement_cache_size: int = 200,
    ) -> None:
        self._pool = LazyPool(
            url,
            application_name=application_name,
            min_size=min_size,
            max_size=max_size,
            statement_cache_size=statement_cache_size,
        )

    def tenant(self, tenant_id: TenantId) -> Transaction[TenantSession]:
        """Return one transaction of one tenant, for `async with`.

        It commits when the block ends and rolls back when the block raises.

        Raises
        ------
        TypeError
            `tenant_id` is not a :class:`TenantId`.
        DatabaseUnavailable
            On entering: no connection. On leaving: the commit failed or its answer was lost.
        NotCommitted
            On leaving: a statement's error was swallowed inside the block.
        """
        if not isinstance(tenant_id, TenantId):
            raise TypeError(f"a TenantId is needed, was {type(tenant_id).__name__}")
        return self._pool.transaction(
            lambda connection: TenantSession(connection, tenant_id=tenant_id),
            begin=begin_for(tenant_id.value),
        )

    async def ping(self) -> bool:
        """Tell whether the server answers."""
        return await self._pool.ping()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()
