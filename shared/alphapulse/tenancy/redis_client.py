"""Commands to the cache's Redis, one server or a Cluster, each with a deadline.

On one server a command goes straight to a connection of redis-py: its client's own way there takes as
long as Redis does, and every request of every function would pay for it.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import redis.asyncio as redis
    from redis.asyncio.connection import AbstractConnection

Argument = str | bytes | int | float

_CLUSTER = "+cluster"
_CONNECT_TIMEOUT_SECONDS = 0.25
_ANSWER_TIMEOUT_SECONDS = 0.5
_SCANNED_AT_ONCE = 1_000


class RedisFailed(Exception):
    """Redis did not answer in time, or with an error.

    Attributes
    ----------
    lost : bool
        There was no answer at all, so that the next command is likely to fail as well.
    """

    def __init__(self, reason: str, *, lost: bool) -> None:
        super().__init__(reason)
        self.lost = lost


class Script:
    """A Lua script of this folder, run as one atomic step.

    Parameters
    ----------
    name
        File name below `lua/`, without its ending.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (Path(__file__).parent / "lua" / f"{name}.lua").read_text(encoding="utf-8")
        # Redis names scripts so; nothing is secured by it.
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class RedisClient(Protocol):
    """Sends commands.

    Attributes
    ----------
    one_node : bool
        Whether one script may touch keys of any slot.
    """

    one_node: bool

    async def run(self, *command: Argument) -> Any:
        """Return the answer to a command.

        Raises
        ------
        RedisFailed
            There is none, or it is an error.
        """

    def keys(self, pattern: str) -> AsyncIterator[str]:
        """Walk the names of all keys that match a pattern; one may come twice.

        Raises
        ------
        RedisFailed
            Redis did not answer.
        """

    async def close(self) -> None:
        """Close the connections."""


def redis_client(url: str, *, max_connections: int) -> RedisClient:
    """Return a client that connects with its first command.

    Parameters
    ----------
    url
        `redis://` or `rediss://` for one server, `redis+cluster://` or `rediss+cluster://` for any
        node of a Cluster. Carries the password; never logged.
    max_connections
        To each server.
    """
    scheme, _, rest = url.partition("://")
    if scheme.endswith(_CLUSTER):
        return _Cluster(f"{scheme.removesuffix(_CLUSTER)}://{rest}", max_connections=max_connections)
    return _OneServer(url, max_connections=max_connections)


async def evaluate(
    client: RedisClient, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
) -> Any:
    """Return what a script returns; its text is sent only to a server that has not seen it.

    Raises
    ------
    RedisFailed
        Redis did not answer, or the script failed.
    """
    try:
        return await client.run("EVALSHA", script.sha, len(keys), *keys, *arguments)
    except RedisFailed as failure:
        if not str(failure).startswith("NoScriptError"):
            raise
    return await client.run("EVAL", script.text, len(keys), *keys, *arguments)


class _OneServer:
    """Up to `max_connections` connections to one server; who finds none free waits."""

    one_node = True

    def __init__(self, url: str, *, max_connections: int) -> None:
        self._url = url
        self._free = asyncio.Semaphore(max_connections)
        self._idle: list[AbstractConnection] = []
        self._closed = False

    async def run(self, *command: Argument) -> Any:
        from redis.exceptions import RedisError, ResponseError  # noqa: PLC0415 - see `_connect`

        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_SECONDS), self._free:
                connection = self._idle.pop() if self._idle else self._connect()
                try:
                    answer = await _exchange(connection, command)
                except ResponseError:
                    self._idle.append(connection)
                    raise
                except BaseException:
                    # Its next answer might be this command's.
                    await connection.disconnect(nowait=True)
                    raise
                self._idle.append(connection)
                return answer
        except ResponseError as error:
            raise RedisFailed(f"{type(error).__name__}: {error}", lost=False) from error
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisFailed(type(error).__name__, lost=True) from error

    async def keys(self, pattern: str) -> AsyncIterator[str]:
        cursor = 0
        while True:
            answer = await self.run("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED_AT_ONCE)
            cursor = int(answer[0])
            for name in answer[1]:
                yield name.decode()
            if cursor == 0:
                return

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect()

    def _connect(self) -> "AbstractConnection":
        # 140 ms that an idle function does not pay.
        from redis.asyncio.connection import Connection, parse_url  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        options: dict[str, Any] = dict(parse_url(self._url))
        kind = options.pop("connection_class", Connection)
        connection: AbstractConnection = kind(
            **options,
            socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            # The deadline is around the whole exchange.
            socket_timeout=None,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )
        return connection


async def _exchange(connection: "AbstractConnection", command: Sequence[Argument]) -> Any:
    import hiredis  # noqa: PLC0415 - see `_connect`

    reader = connection._reader  # noqa: SLF001 - redis-py's own check reads the socket each time
    if reader is not None and (reader.at_eof() or reader.exception() is not None):
        # The server was restarted since: nothing of this command has been sent yet.
        await connection.disconnect(nowait=True)
    # redis-py would put the command together in Python.
    # Its stub means a tuple of any length.
    await connection.send_packed_command(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]
    return await connection.read_response()


class _Cluster:
    """redis-py's client of a Cluster, which knows which node has which key."""

    one_node = False

    def __init__(self, url: str, *, max_connections: int) -> None:
        self._url = url
        self._max_connections = max_connections
        self._client: redis.RedisCluster | None = None

    async def run(self, *command: Argument) -> Any:
        from redis.exceptions import RedisError, ResponseError  # noqa: PLC0415 - as in `_OneServer`

        try:
            return await self._opened().execute_command(*command)
        except ResponseError as error:
            raise RedisFailed(f"{type(error).__name__}: {error}", lost=False) from error
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisFailed(type(error).__name__, lost=True) from error

    async def keys(self, pattern: str) -> AsyncIterator[str]:
        from redis.exceptions import RedisError  # noqa: PLC0415 - as in `_OneServer`

        try:
            async for name in self._opened().scan_iter(match=pattern, count=_SCANNED_AT_ONCE):
                yield name.decode()
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisFailed(type(error).__name__, lost=True) from error

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _opened(self) -> "redis.RedisCluster":
        import redis.asyncio as redis  # noqa: PLC0415 - as in `_OneServer`

        if self._client is None:
            self._client = redis.RedisCluster.from_url(
                self._url,
                max_connections=self._max_connections,
                socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                socket_timeout=_ANSWER_TIMEOUT_SECONDS,
            )
        return self._client
