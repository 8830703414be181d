"""JSON values below one prefix of the cache."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

import orjson
import structlog

from alphapulse.tenancy.redis_client import Argument

MAX_VALUE_BYTES: Final = 1024 * 1024

_PART: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class CacheUnavailable(Exception):
    """Redis does not answer, or did not a moment ago."""


class Commands(Protocol):
    """Runs commands on the cache's Redis; raises `CacheUnavailable`."""

    @property
    def one_node(self) -> bool:
        """Whether one command may name keys of any slot."""

    async def run(self, *command: Argument) -> Any:
        """Return the answer to a command."""


class Namespace:
    """JSON values below one prefix.

    A key is given in parts, each checked, so that no input can climb out of the namespace.
    """

    def __init__(self, connection: Commands, prefix: str) -> None:
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
        key = self.key(*parts)
        try:
            return _value(await self._read(key))
        except CacheUnavailable:
            return None

    async def begins_with(self, *parts: str, prefix: bytes) -> bool:
        """Tell whether a value is there and its JSON begins so; costs less than reading it."""
        key = self.key(*parts)
        try:
            found: bytes = await self._connection.run("GETRANGE", key, 0, len(prefix) - 1)
        except CacheUnavailable:
            return False
        return found == prefix

    async def get_many(self, keys: Sequence[tuple[str, ...]]) -> list[Any | None]:
        """Return one value or None per key."""
        if not keys:
            return []
        names = [self.key(*parts) for parts in keys]
        try:
            return [_value(raw) for raw in await self._read_many(names)]
        except CacheUnavailable:
            return [None] * len(keys)

    async def put(self, *parts: str, value: Any, ttl_seconds: float) -> bool:
        """Store a JSON value for a time.

        Returns
        -------
        bool
            False when it was not stored: Redis is down, or it is larger than `MAX_VALUE_BYTES`.
        """
        key, data = self.key(*parts), orjson.dumps(value)
        if len(data) > MAX_VALUE_BYTES:
            logger.warning("cache_value_too_large", size=len(data), limit=MAX_VALUE_BYTES, kind=parts[0])
            return False
        try:
            await self._write(key, data, max(1, int(ttl_seconds * 1000)))
        except CacheUnavailable:
            return False
        return True

    async def drop(self, *parts: str) -> None:
        """Remove a value."""
        key = self.key(*parts)
        try:
            await self._remove(key)
        except CacheUnavailable:
            return  # logged; it expires

    async def _read(self, key: str) -> bytes | None:
        raw: bytes | None = await self._connection.run("GET", key)
        return raw

    async def _read_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        if self._connection.one_node:
            raw: list[bytes | None] = await self._connection.run("MGET", *keys)
            return raw
        return await asyncio.gather(*(self._read(key) for key in keys))

    async def _write(self, key: str, data: bytes, milliseconds: int) -> None:
        await self._connection.run("SET", key, data, "PX", milliseconds)

    async def _remove(self, key: str) -> None:
        await self._connection.run("DEL", key)


def _value(raw: bytes | None) -> Any | None:
    if raw is None:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        logger.warning("cache_value_unreadable")
        return None
