"""All that Redis holds of one tenant, made and removed by provisioning.

The cache itself (`alphapulse.tenancy.cache`) shrugs when Redis is down. Here an answer is needed:
keys that could not be removed are not gone.
"""

from typing import TYPE_CHECKING, Any

from alphapulse.tenancy.tenant import TenantId

if TYPE_CHECKING:
    import redis.asyncio as redis

_CLUSTER = "+cluster"
_TIMEOUT_SECONDS = 5.0
_SCAN_COUNT = 5_000
_REMOVED_AT_ONCE = 500


class KeyspaceUnavailable(Exception):
    """Redis did not answer, or not as it should."""


class TenantKeyspace:
    """The keys whose hash tag is a tenant's id, on one cache Redis.

    Parameters
    ----------
    url
        As of `alphapulse.tenancy.cache.CacheConnection`, with the password; never logged.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: redis.Redis | redis.RedisCluster | None = None

    async def create(self, tenant_id: TenantId) -> None:
        """Begin the tenant's accounting of bytes; one that has begun is left as it is.

        Raises
        ------
        KeyspaceUnavailable
            Redis does not answer.
        """
        await self._run("SET", f"meta:tenant:{{{tenant_id}}}:usage_bytes", "0", "NX")

    async def keys_of(self, tenant_id: TenantId) -> list[str]:
        """Return the names of all keys of the tenant; walks the whole keyspace.

        Raises
        ------
        KeyspaceUnavailable
            Redis does not answer.
        """
        cursor = 0
        found: set[str] = set()
        while True:
            answer = await self._run(
                "SCAN", cursor, "MATCH", f"*{{{tenant_id}}}*", "COUNT", _SCAN_COUNT, of=tenant_id
            )
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

    async def _run(self, *command: str | int, of: TenantId | None = None) -> Any:
        """Run a command; in a Cluster, one that names no key goes to the node that has the tenant's."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - paid by the first command, not at start

        try:
            client = self._client or await self._connect()
            if of is None or not hasattr(client, "get_node_from_key"):
                return await client.execute_command(*command)
            node = client.get_node_from_key(f"{{{of}}}")
            return await client.execute_command(*command, target_nodes=node)
        except (RedisError, OSError, TimeoutError) as error:
            raise KeyspaceUnavailable(f"the cache does not answer: {type(error).__name__}") from error

    async def _connect(self) -> "redis.Redis | redis.RedisCluster":
        import redis.asyncio as redis  # noqa: PLC0415 - as above

        scheme, _, rest = self._url.partition("://")
        options: dict[str, Any] = {
            "socket_connect_timeout": _TIMEOUT_SECONDS,
            "socket_timeout": _TIMEOUT_SECONDS,
        }
        if scheme.endswith(_CLUSTER):
            url = f"{scheme.removesuffix(_CLUSTER)}://{rest}"
            self._client = await redis.RedisCluster.from_url(url, **options).initialize()
        else:
            self._client = redis.Redis.from_url(self._url, **options)
        return self._client
