"""All that Redis holds of one tenant: made, tried, and removed by provisioning.

The cache itself (`alphapulse.tenancy.cache`) shrugs when Redis is down. Here an answer is needed:
keys that could not be removed are not gone.
"""

import secrets
from typing import TYPE_CHECKING, Any

from alphapulse.tenancy.tenant import TenantId

if TYPE_CHECKING:
    import redis.asyncio as redis

_TIMEOUT_SECONDS = 5.0
_SCAN_COUNT = 5_000
_REMOVED_AT_ONCE = 500
_PROBE_SECONDS = 60


class KeyspaceUnavailable(Exception):
    """Redis did not answer, or not as it should."""


class TenantKeyspace:
    """The keys whose hash tag is a tenant's id, on one cache Redis.

    Parameters
    ----------
    url
        Connection URL with the password; never logged.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: redis.Redis | None = None

    async def create(self, tenant_id: TenantId) -> None:
        """Begin the tenant's accounting of bytes; one that has begun is left as it is.

        Raises
        ------
        KeyspaceUnavailable
            Redis does not answer.
        """
        await self._run("SET", f"meta:tenant:{{{tenant_id}}}:usage_bytes", "0", "NX")

    async def probe(self, tenant_id: TenantId) -> None:
        """Write, read and remove a value in the tenant's namespace.

        Raises
        ------
        KeyspaceUnavailable
            Redis does not answer, or with another value than was written.
        """
        key, value = f"tenant:{{{tenant_id}}}:probe", secrets.token_hex(8)
        await self._run("SET", key, value, "EX", _PROBE_SECONDS)
        found = await self._run("GET", key)
        await self._run("DEL", key)
        if found != value.encode():
            raise KeyspaceUnavailable("the cache answered with another value than was written")

    async def keys_of(self, tenant_id: TenantId) -> list[str]:
        """Return the names of all keys of the tenant; walks the whole keyspace.

        Raises
        ------
        KeyspaceUnavailable
            Redis does not answer.
        """
        cursor, found = 0, set()
        while True:
            answer = await self._run("SCAN", cursor, "MATCH", f"*{{{tenant_id}}}*", "COUNT", _SCAN_COUNT)
            cursor = int(answer[0])
            found.update(key.decode() for key in answer[1])
            if cursor == 0:
                return sorted(found)

    async def remove(self, tenant_id: TenantId) -> int:
        """Remove all keys of the tenant and return how many there were.

        Raises
        ------
        KeyspaceUnavailable
            Redis does not answer.
        """
        keys = await self.keys_of(tenant_id)
        for start in range(0, len(keys), _REMOVED_AT_ONCE):
            await self._run("UNLINK", *keys[start : start + _REMOVED_AT_ONCE])
        return len(keys)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _run(self, *command: str | int) -> Any:
        import redis.asyncio as redis  # noqa: PLC0415 - paid by the first command, not at start
        from redis.exceptions import RedisError  # noqa: PLC0415

        if self._client is None:
            self._client = redis.Redis.from_url(
                self._url, socket_connect_timeout=_TIMEOUT_SECONDS, socket_timeout=_TIMEOUT_SECONDS
            )
        try:
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError, TimeoutError) as error:
            raise KeyspaceUnavailable(f"the cache does not answer: {type(error).__name__}") from error
