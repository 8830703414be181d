"""Redis, namespaced: a tenant's keys under `tenant:{<id>}:`, what all share under `shared:<kind>:`.

The cache is never the only place of anything. With Redis down, reads miss and writes are skipped, and
for a short while not tried again, so that a request does not wait for a dead server.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import structlog

from alphapulse.tenancy.cache_account import CacheAccount, QuotaCrossing
from alphapulse.tenancy.cache_namespace import MAX_VALUE_BYTES, CacheUnavailable, Namespace
from alphapulse.tenancy.redis_client import Argument, RedisClient, RedisFailed, Script, evaluate, redis_client
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import CacheQuota

__all__ = ["MAX_VALUE_BYTES", "CacheConnection", "CacheUnavailable", "SharedCache", "TenantCache"]

#: For how long Redis is not asked again after it has failed to answer.
PAUSE_AFTER_FAILURE_SECONDS = 1.0
_RELEASE_CLAIM = Script("release_claim")
# A read that finds its value notes that it was used, each process at most this often: the order in which
# values are evicted is exact to that, and other reads cost what a plain GET does.
_TOUCH_SECONDS = 5.0
_TOUCHED_KEPT = 20_000
_TENANTS_KEPT = 2_000

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

QuotaOf = Callable[[TenantId], CacheQuota | None]
OnCrossing = Callable[[QuotaCrossing], None]
OnSharedRead = Callable[[str, str], None]


class CacheConnection:
    """The Redis clients of a process; hand out scoped views of it only.

    Parameters
    ----------
    url
        See `redis_client`; never logged. None is a Redis that never answers.
    quota_of
        A tenant's quota; None while it is not known, and then a write is counted and not limited.
    on_crossing
        Told when a write brings a tenant to a level of its quota.
    on_shared_read
        Told of each read of data all tenants share: which, and `hit`, `miss` or `waited`.
    """

    def __init__(
        self,
        url: str | None,
        *,
        max_connections: int = 16,
        quota_of: QuotaOf = lambda _: None,
        on_crossing: OnCrossing = lambda _: None,
        on_shared_read: OnSharedRead = lambda _dataset, _outcome: None,
    ) -> None:
        self._url = url
        self._max_connections = max_connections
        self._client: RedisClient | None = None
        self._paused_until = 0.0
        self.quota_of = quota_of
        self.on_crossing = on_crossing
        self.on_shared_read = on_shared_read
        self.touched: dict[str, float] = {}
        self._tenants: dict[TenantId, TenantCache] = {}

    @property
    def is_configured(self) -> bool:
        """Whether there is a Redis at all."""
        return self._url is not None

    @property
    def one_node(self) -> bool:
        """Whether one script may touch keys of any slot."""
        return self._opened().one_node

    def tenant(self, tenant_id: TenantId) -> "TenantCache":
        """Return the cache of one tenant."""
        found = self._tenants.get(tenant_id)
        if found is None:
            if len(self._tenants) >= _TENANTS_KEPT:
                self._tenants.clear()
            found = self._tenants[tenant_id] = TenantCache(self, tenant_id)
        return found

    def market(self) -> "SharedCache":
        """Return the cache of market data, which all tenants share."""
        return SharedCache(self, "shared:market:")

    def providers(self) -> "SharedCache":
        """Return the cache of what data sources answered, which all tenants share."""
        return SharedCache(self, "shared:provider:")

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def run(self, *command: Argument) -> Any:
        """Return the answer to a command.

        Raises
        ------
        CacheUnavailable
            There is none.
        """
        if time.monotonic() < self._paused_until:
            raise CacheUnavailable
        try:
            return await self._opened().run(*command)
        except RedisFailed as failure:
            raise self._failed(failure, str(command[0])) from failure

    async def evaluate(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Return what a script returns.

        Raises
        ------
        CacheUnavailable
            Redis does not answer.
        """
        if time.monotonic() < self._paused_until:
            raise CacheUnavailable
        try:
            return await evaluate(self._opened(), script, keys, arguments)
        except RedisFailed as failure:
            raise self._failed(failure, script.name) from failure

    async def keys(self, pattern: str) -> AsyncIterator[str]:
        """Walk the names of all keys that match a pattern; for the platform's own upkeep.

        Raises
        ------
        CacheUnavailable
            Redis does not answer.
        """
        try:
            async for name in self._opened().keys(pattern):
                yield name
        except RedisFailed as failure:
            raise self._failed(failure, "SCAN") from failure

    def _opened(self) -> RedisClient:
        if self._url is None:
            raise CacheUnavailable
        if self._client is None:
            self._client = redis_client(self._url, max_connections=self._max_connections)
        return self._client

    def _failed(self, failure: RedisFailed, command: str) -> CacheUnavailable:
        if failure.lost:
            self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("cache_unavailable", command=command, error=str(failure)[:200])
        return CacheUnavailable()


class TenantCache(Namespace):
    """Values of one tenant, below `tenant:{<tenant_id>}:`, within its quota.

    Every write keeps the tenant's count of bytes; one that goes over the quota has the tenant's own
    oldest values removed.
    """

    def __init__(self, connection: CacheConnection, tenant_id: TenantId) -> None:
        super().__init__(connection, f"tenant:{{{tenant_id}}}:")
        self._cache = connection
        self._tenant_id = tenant_id
        self._account = CacheAccount(connection.evaluate, tenant_id)

    async def used_bytes(self) -> int | None:
        """Return how many bytes the tenant's values take; None when Redis is down."""
        try:
            return int(await self._cache.run("GET", self._account.usage_key) or 0)
        except CacheUnavailable:
            return None

    async def rearm(self) -> None:
        """Let the tenant be told again of the level of its quota that it has reached."""
        try:
            await self._cache.run("DEL", self._account.alerted_key)
        except CacheUnavailable:
            return  # logged; the next reconciliation finds the level again

    async def _read(self, key: str) -> bytes | None:
        touched, now = self._cache.touched, time.monotonic()
        if now - touched.get(key, -_TOUCH_SECONDS) < _TOUCH_SECONDS:
            raw = await super()._read(key)
            if raw is not None:
                return raw
        found = await self._account.read(key)
        if found is None:
            touched.pop(key, None)
            return None
        if len(touched) >= _TOUCHED_KEPT:
            touched.clear()
        touched[key] = now
        return found

    async def _read_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        return await asyncio.gather(*(self._read(key) for key in keys))

    async def _write(self, key: str, data: bytes, milliseconds: int) -> None:
        connection = self._cache
        quota = connection.quota_of(self._tenant_id)
        crossing = await self._account.write(key, data, milliseconds=milliseconds, quota=quota)
        if crossing is not None:
            connection.on_crossing(crossing)

    async def _remove(self, key: str) -> None:
        self._cache.touched.pop(key, None)
        await self._account.remove(key, quota=self._cache.quota_of(self._tenant_id))


class SharedCache(Namespace):
    """Data all tenants share, below `shared:<kind>:`.

    The making of a value may be claimed, by one process at a time.
    """

    def __init__(self, connection: CacheConnection, prefix: str) -> None:
        super().__init__(connection, prefix)
        self._scripts = connection

    @property
    def connection(self) -> CacheConnection:
        """The process's connection, one for all its views."""
        return self._scripts

    async def claim(self, *parts: str, token: str, seconds: float) -> bool:
        """Claim the making of a value; return False when another process has.

        Raises
        ------
        CacheUnavailable
            Redis does not answer.
        """
        milliseconds = int(seconds * 1000)
        key = self._claim_key(*parts)
        return await self._scripts.run("SET", key, token, "NX", "PX", milliseconds) is not None

    async def release(self, *parts: str, token: str) -> bool:
        """Give up a claim; return False when it was no longer held.

        One that has expired may be another's by now and is left alone.
        """
        try:
            given_up = await self._scripts.evaluate(_RELEASE_CLAIM, (self._claim_key(*parts),), (token,))
        except CacheUnavailable:
            return False  # logged; it expires
        return bool(given_up)

    async def invalidate(self, *parts: str) -> None:
        """Remove a value that is out of date, and tell whoever is making it that theirs is too.

        The claim goes first: a value made from what was true before is then either removed here, or by its
        maker, who finds the claim gone.
        """
        try:
            await self._scripts.run("DEL", self._claim_key(*parts))
            await self._scripts.run("DEL", self.key(*parts))
        except CacheUnavailable:
            return  # logged; it expires

    def _claim_key(self, *parts: str) -> str:
        return f"{self.key(*parts)}:claim"
