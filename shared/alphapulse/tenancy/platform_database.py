"""The database as the platform itself sees it; only for functions that name it."""

from typing import TYPE_CHECKING, Any, final

from alphapulse.data.pool import LazyPool, Transaction, begin_for
from alphapulse.data.session import Session
from alphapulse.tenancy.tenant import TenantId

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


@final
class PlatformSession(Session):
    """The statements of one transaction of the role `alphapulse_platform`.

    It sees the tenant registry, accounts, provisioning, the outbox and what has no tenant; of a
    tenant's other rows only those of the one tenant it acts for, if any.
    """

    __slots__ = ("tenant_id",)

    def __init__(self, connection: "PoolConnectionProxy[Any]", *, tenant_id: TenantId | None) -> None:
        super().__init__(connection, tenant=None if tenant_id is None else tenant_id.value)
        self.tenant_id = tenant_id


class PlatformDatabase:
    """PostgreSQL with the role `alphapulse_platform`; opened by the first transaction.

    Parameters are those of :class:`alphapulse.tenancy.database.Database`.
    """

    def __init__(
        self,
        url: str,
        *,
        application_name: str = "platform",
        min_size: int = 0,
        max_size: int = 4,
        statement_cache_size: int = 200,
    ) -> None:
        self._pool = LazyPool(
            url,
            application_name=application_name,
            min_size=min_size,
            max_size=max_size,
            statement_cache_size=statement_cache_size,
        )

    def session(self, tenant_id: TenantId | None = None) -> Transaction[PlatformSession]:
        """Return one transaction, for `async with`; for one tenant if it is given.

        Raises as :meth:`alphapulse.tenancy.database.Database.tenant` does.
        """
        if not (tenant_id is None or isinstance(tenant_id, TenantId)):
            raise TypeError(f"a TenantId is needed, was {type(tenant_id).__name__}")
        return self._pool.transaction(
            lambda connection: PlatformSession(connection, tenant_id=tenant_id),
            begin=begin_for(None if tenant_id is None else tenant_id.value),
        )

    async def ping(self) -> bool:
        """Tell whether the server answers."""
        return await self._pool.ping()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()
