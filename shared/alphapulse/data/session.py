"""A session: the statements of one transaction, and nothing else of its connection."""

import re
import uuid
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from alphapulse.data.errors import DatabaseError, StatementRefused
from alphapulse.data.faults import translate

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

_LEADING = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_COMMANDS = re.compile(r"(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES)\b", re.IGNORECASE)
# What would outlive the transaction or act for another tenant. U& could spell the names otherwise.
_FORBIDDEN = re.compile(
    r"set_config|current_tenant_id|\bU&|pg_(?:try_)?advisory_lock|pg_advisory_unlock", re.IGNORECASE
)


class TransactionOver(DatabaseError):
    """A session was used after its transaction had ended."""


class Session:
    """Runs statements inside one transaction that somebody else begins and commits.

    Only SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES and WITH, one command at a time.

    Attributes
    ----------
    tenant : uuid.UUID or None
        Whose rows the transaction sees; None for the platform's own work.
    """

    __slots__ = ("__connection", "tenant")

    def __init__(self, connection: "PoolConnectionProxy[Any]", *, tenant: uuid.UUID | None) -> None:
        self.__connection: PoolConnectionProxy[Any] | None = connection
        self.tenant = tenant

    async def fetch(self, query: str, *args: Any) -> "list[asyncpg.Record]":
        """Return all rows."""
        connection = self.__usable(query)
        try:
            return await connection.fetch(query, *args)
        except Exception as error:  # noqa: BLE001 - translated or raised again as it was
            _raise(error, connection)

    async def fetchrow(self, query: str, *args: Any) -> "asyncpg.Record | None":
        """Return the first row, or None."""
        connection = self.__usable(query)
        try:
            return await connection.fetchrow(query, *args)
        except Exception as error:  # noqa: BLE001 - as above
            _raise(error, connection)

    async def fetchval(self, query: str, *args: Any, column: int = 0) -> Any:
        """Return one value of the first row, or None."""
        connection = self.__usable(query)
        try:
            return await connection.fetchval(query, *args, column=column)
        except Exception as error:  # noqa: BLE001 - as above
            _raise(error, connection)

    async def execute(self, query: str, *args: Any) -> str:
        """Run a command and return its status, such as `UPDATE 1`."""
        connection = self.__usable(query)
        try:
            if args:
                return await connection.execute(query, *args)
            # Without arguments asyncpg would send a script of any number of commands.
            statement = await connection.prepare(query)
            await statement.fetch()
            return statement.get_statusmsg() or ""
        except Exception as error:  # noqa: BLE001 - as above
            _raise(error, connection)

    async def executemany(self, query: str, args: Iterable[Sequence[Any]]) -> None:
        """Run a command once per sequence of arguments."""
        connection = self.__usable(query)
        try:
            await connection.executemany(query, args)
        except Exception as error:  # noqa: BLE001 - as above
            _raise(error, connection)

    def _end(self) -> None:
        self.__connection = None

    def __usable(self, query: str) -> "PoolConnectionProxy[Any]":
        if self.__connection is None:
            raise TransactionOver("the session's transaction has ended")
        _check(query)
        return self.__connection


@lru_cache(maxsize=4096)
def _check(query: str) -> None:
    """Refuse what a scoped session has no business with; a guard against mistakes, not a parser."""
    leading = _LEADING.match(query)
    command = _COMMANDS.match(query, leading.end() if leading else 0)
    if command is None:
        raise StatementRefused(f"a session runs queries and changes of rows only, was {query.strip()[:20]!r}")
    forbidden = _FORBIDDEN.search(query)
    if forbidden is not None:
        raise StatementRefused(f"a session's statement must not contain {forbidden[0]!r}")


def _raise(error: Exception, connection: "PoolConnectionProxy[Any]") -> NoReturn:
    translated = translate(error, connection)
    if translated is None:
        raise error
    # Not chained: asyncpg's text carries the offending row's values, and logs print chains.
    raise translated from None
