"""Redis, namespaced: a tenant's keys under `tenant:{<id>}:`, market data under `shared:market:`.

The cache is never the only place of anything. With Redis down, reads miss and writes are skipped, and
for a short while not tried again, so that a request does not wait for a dead server.
"""

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from alphapulse.tenancy.tenant import TenantId

if TYPE_CHECKING:
    import redis.asyncio as redis

_PART = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CONNECT_TIMEOUT_SECONDS = 0.25
_ANSWER_TIMEOUT_SECONDS = 0.5
_PAUSE_AFTER_FAILURE_SECONDS = 1.0

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class CacheConnection:
    """One lazily opened Redis client for a process; hand out scoped views of it only."""

    def __init__(self, url: str, *, max_connections: int = 16) -> None:
        self._url = url
        self._max_connections = max_connections
        self._client: redis.Redis | None = None
        self._paused_until = 0.0

    def tenant(self, tenant_id: TenantId) -> "TenantCache":
        """Return the cache of one tenant."""
        return TenantCache(self, f"tenant:{{{tenant_id}}}:")

    def market(self) -> "SharedCache":
        """Return the cache of market data, which all tenants share."""
        return SharedCache(self, "shared:market:")

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _run(self, *command: str | bytes | int) -> Any:
        """Run a command; None when Redis is down (or the answer is nil)."""
        if time.monotonic() < self._paused_until:
            return None
        import redis.asyncio as redis  # noqa: PLC0415 - 140 ms that an idle function does not pay
        from redis.exceptions import RedisError  # noqa: PLC0415

        if self._client is None:
            # With all connections in use a request waits; a plain pool would raise, as if Redis were down.
            pool = redis.BlockingConnectionPool.from_url(
                self._url,
                max_connections=self._max_connections,
                timeout=_ANSWER_TIMEOUT_SECONDS,
                socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
                socket_timeout=_ANSWER_TIMEOUT_SECONDS,
            )
            self._client = redis.Redis.from_pool(pool)
        try:
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            self._paused_until = time.monotonic() + _PAUSE_AFTER_FAILURE_SECONDS
            logger.warning("cache_unavailable", command=command[0], error=type(error).__name__)
            return None


class _Namespace:
    """JSON values below one prefix.

    A key is given in parts, each checked, so that no input can climb out of the namespace.
    """

    def __init__(self, connection: CacheConnection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix

    def key(self, *parts: str) -> str:
        """Return the full key.

        Raises
        ------
        ValueError
            A part is empty, too long, or holds a character outside letters, digits and `._-`.
        """
        for part in parts:
            if not _PART.fullmatch(part):
                raise ValueError(f"not a cache key part: {part!r}")
        if not parts:
            raise ValueError("a cache key needs at least one part")
        return self._prefix + ":".join(parts)

    async def get(self, *parts: str) -> Any | None:
        """Return the value, or None when missing, unreadable or Redis is down."""
        return _value(await self._connection._run("GET", self.key(*parts)))  # noqa: SLF001 - same module

    async def get_many(self, keys: Sequence[tuple[str, ...]]) -> list[Any | None]:
        """Return one value or None per key, in one round trip."""
        if not keys:
            return []
        names = [self.key(*parts) for parts in keys]
        raw = await self._connection._run("MGET", *names)  # noqa: SLF001 - same module
        if raw is None:
            return [None] * len(keys)
        return [_value(value) for value in raw]

    async def put(self, *parts: str, value: Any, ttl_seconds: float) -> None:
        """Store a JSON value for a time."""
        await self._connection._run(  # noqa: SLF001 - same module
            "SET", self.key(*parts), orjson.dumps(value), "PX", max(1, int(ttl_seconds * 1000))
        )

    async def drop(self, *parts: str) -> None:
        """Remove a value."""
        await self._connection._run("DEL", self.key(*parts))  # noqa: SLF001 - same module


class TenantCache(_Namespace):
    """Values of one tenant, below `tenant:{<tenant_id>}:`."""


class SharedCache(_Namespace):
    """Market data all tenants share, below `shared:market:`."""


def _value(raw: bytes | None) -> Any | None:
    if raw is None:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        logger.warning("cache_value_unreadable")
        return None
