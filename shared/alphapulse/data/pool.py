"""Connections: a pool that opens with its first use and outlives restarts of the server."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

from alphapulse.data.errors import DatabaseUnavailable, NotCommitted, PoolExhausted
from alphapulse.data.faults import is_lost, translate
from alphapulse.data.session import Session

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

_CONNECT_TIMEOUT_SECONDS = 3.0
_ACQUIRE_TIMEOUT_SECONDS = 5.0
# Above the server's statement_timeout: this one is for a server that does not answer at all.
_ANSWER_TIMEOUT_SECONDS = 35.0
_CLOSE_TIMEOUT_SECONDS = 5.0

S = TypeVar("S", bound=Session)


class LazyPool:
    """Up to `max_size` connections of one role, opened as needed; asyncpg loads with the first.

    Parameters
    ----------
    url
        Connection URL with the role's password.
    application_name
        Shown in `pg_stat_activity`.
    statement_cache_size
        Prepared statements kept per connection; 0 behind a pooler that does not keep them apart.
    """

    def __init__(
        self, url: str, *, application_name: str, min_size: int, max_size: int, statement_cache_size: int
    ) -> None:
        self._url = url
        self._options: dict[str, Any] = {
            "min_size": min_size,
            "max_size": max_size,
            "statement_cache_size": statement_cache_size,
            "server_settings": {"application_name": application_name},
        }
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()

    def transaction(
        self, session: Callable[["PoolConnectionProxy[Any]"], S], *, begin: str
    ) -> "Transaction[S]":
        """Return a transaction that starts with the statements `begin`."""
        return Transaction(self, session, begin=begin)

    async def ping(self) -> bool:
        """Tell whether the server answers, on a connection of its own: a busy pool is no dead server."""
        import asyncpg  # noqa: PLC0415 - as in `_open`

        try:
            connection = await asyncpg.connect(
                self._url, timeout=_CONNECT_TIMEOUT_SECONDS, command_timeout=_CONNECT_TIMEOUT_SECONDS
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close(timeout=_CONNECT_TIMEOUT_SECONDS)
        return True

    async def close(self) -> None:
        """Close all connections; those still in use are cut after a few seconds."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    async def acquire(self, first: str) -> "PoolConnectionProxy[Any]":
        """Return a connection on which the statements `first` have succeeded.

        Raises
        ------
        DatabaseUnavailable
            There is no connection to be had.
        """
        pool = await self._open()
        # A pooled connection may have died with the server, unnoticed. Nothing has been done on it
        # yet, so a second try on a new one is safe.
        try:
            return await _begin(pool, first)
        except PoolExhausted:
            raise
        except DatabaseUnavailable:
            await pool.expire_connections()
            return await _begin(pool, first)

    async def release(self, connection: "PoolConnectionProxy[Any]") -> None:
        """Give a connection back."""
        if self._pool is not None:
            await self._pool.release(connection)
        else:
            connection.terminate()

    async def _open(self) -> "asyncpg.Pool[Any]":
        if self._pool is not None:
            return self._pool
        async with self._opening:
            if self._pool is None:
                import asyncpg  # noqa: PLC0415 - 65 ms that a function pays with its first query

                try:
                    self._pool = await asyncpg.create_pool(
                        self._url,
                        init=_use_orjson,
                        reset=_keep,
                        timeout=_CONNECT_TIMEOUT_SECONDS,
                        command_timeout=_ANSWER_TIMEOUT_SECONDS,
                        **self._options,
                    )
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    raise DatabaseUnavailable(f"cannot connect: {type(error).__name__}") from error
            return self._pool


class Transaction(Generic[S]):
    """One transaction: commits when its block ends, rolls back when the block raises."""

    __slots__ = ("_begin", "_connection", "_factory", "_pool", "_session")

    def __init__(
        self, pool: LazyPool, factory: Callable[["PoolConnectionProxy[Any]"], S], *, begin: str
    ) -> None:
        self._pool = pool
        self._factory = factory
        self._begin = begin

    async def __aenter__(self) -> S:
        self._connection = await self._pool.acquire(self._begin)
        self._session = self._factory(self._connection)
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session._end()  # noqa: SLF001 - the session's own transaction
        try:
            if kind is None:
                await _commit(self._connection)
            else:
                await _roll_back(self._connection)
        finally:
            await self._pool.release(self._connection)


@lru_cache(maxsize=1024)
def begin_for(tenant: uuid.UUID | None) -> str:
    """Return what begins a transaction, for one tenant or for none.

    One message for both commands: a round trip of its own for the setting would cost a short read
    another fifth of its time. SET takes no parameters; the text is made from a UUID object.
    """
    if tenant is None:
        return "BEGIN"
    return f"BEGIN; SET LOCAL app.current_tenant_id = '{uuid.UUID(int=tenant.int)}'"


async def _begin(pool: "asyncpg.Pool[Any]", first: str) -> "PoolConnectionProxy[Any]":
    import asyncpg  # noqa: PLC0415 - loaded already

    try:
        connection = await pool.acquire(timeout=_ACQUIRE_TIMEOUT_SECONDS)
    except TimeoutError as error:
        raise PoolExhausted("no connection became free in time") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(f"cannot connect: {type(error).__name__}") from error
    try:
        await connection.execute(first)
    except BaseException as error:
        translated = translate(error, connection)
        if not is_lost(connection):
            connection.terminate()
        await pool.release(connection)
        if translated is not None:
            raise translated from error
        raise
    return connection


async def _commit(connection: "PoolConnectionProxy[Any]") -> None:
    try:
        status = await connection.execute("COMMIT")
    except Exception as error:
        translated = translate(error, connection)
        if translated is not None:
            raise translated from None
        raise
    if status != "COMMIT":
        raise NotCommitted("a failed statement was ignored, so nothing was committed")


async def _roll_back(connection: "PoolConnectionProxy[Any]") -> None:
    # The block's own error is what the caller must see; a connection that cannot roll back is cut.
    with contextlib.suppress(Exception):
        await connection.execute("ROLLBACK")
        return
    if not is_lost(connection):
        connection.terminate()


async def _keep(_: "asyncpg.Connection[Any]") -> None:
    """Skip asyncpg's reset round trip: sessions run nothing that outlives their transaction."""


async def _use_orjson(connection: "asyncpg.Connection[Any]") -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_dump_json, decoder=orjson.loads, format="text"
    )


def _dump_json(value: Any) -> str:
    return orjson.dumps(value, default=_decimal_text, option=orjson.OPT_NON_STR_KEYS).decode()


def _decimal_text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} has no JSON form")
