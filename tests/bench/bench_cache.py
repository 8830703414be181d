"""The tenants' cache, with its accounting, beside plain redis-py on the same server.

One after the other, turn by turn, so that both meet the same machine: a value of the size of a signal
is set and read with the tenant's cache (namespace, JSON, bytes counted, order of use, quota) and with a
plain client that is given the bytes. Then writes per second of several tenants at once, and how long it
takes to remove 500 values of 10 kB from a tenant that is over its quota. Run: `make bench-cache`.
"""

import asyncio
import logging
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import orjson
import redis.asyncio as redis
import structlog
import uvloop

from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.cache_account import CacheAccount
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tiers import CacheQuota
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.bench.report import print_table, write_report

WARM_UP: Final = 500
TURNS: Final = 10_000
KEYS: Final = 1_000
TTL_SECONDS: Final = 300
WRITERS: Final = 16
WRITE_SECONDS: Final = 4.0
EVICTED, EVICTED_BYTES = 500, 10_000
EVICTIONS: Final = 15

Call = Callable[[int], Awaitable[Any]]

SIGNAL: Final = {
    "id": "0192f0c1-7d1a-7cc0-8f2e-2b6f0a1c9d33",
    "agent": "technical",
    "symbol": "BTC-USDT",
    "signal": "buy",
    "score": 0.4375,
    "confidence": 0.81,
    "reasons": ["RSI(14) is 38.2 and rising", "MACD crossed its signal line", "close is above the EMA(50)"],
    "inputs": [{"name": "rsi", "value": 38.2, "as_of": "2026-01-01T00:00:00Z", "source": "binance"}],
}


async def in_turns(calls: dict[str, Call]) -> dict[str, list[float]]:
    """Return milliseconds of each call, made turn by turn."""
    for number in range(WARM_UP):
        for call in calls.values():
            await call(number)
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for number in range(TURNS):
        for name in order:
            started = time.perf_counter()
            await calls[name](number)
            times[name].append((time.perf_counter() - started) * 1000)
        order.reverse()
    return times


async def writes_per_second(cache: CacheConnection) -> float:
    """Return writes per second of several tenants at once."""
    end = time.perf_counter() + WRITE_SECONDS
    count = 0

    async def write() -> None:
        nonlocal count
        own = cache.tenant(TenantId.new())
        while time.perf_counter() < end:
            await own.put("signal", "technical", f"S{count % KEYS}", value=SIGNAL, ttl_seconds=TTL_SECONDS)
            count += 1

    started = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return count / (time.perf_counter() - started)


async def eviction_ms(cache: CacheConnection) -> list[float]:
    """Return milliseconds of removing 500 values of 10 kB, each time of another tenant."""
    value, times = "x" * (EVICTED_BYTES - 2), []
    for _ in range(EVICTIONS):
        tenant_id = TenantId.new()
        own = cache.tenant(tenant_id)
        for number in range(EVICTED * 2):
            await own.put("signal", "bulk", f"S{number}", value=value, ttl_seconds=TTL_SECONDS)
        account = CacheAccount(cache.evaluate, tenant_id)
        # 90 % of this quota is half of what is there.
        quota = CacheQuota(bytes=-(-EVICTED * EVICTED_BYTES * 10 // 9), alert_at=2**62)
        started = time.perf_counter()
        removed = await account.trim(quota)
        times.append((time.perf_counter() - started) * 1000)
        if removed != EVICTED:
            raise RuntimeError(f"{EVICTED} values should have gone, {removed} did")
    return times


async def measure(url: str) -> dict[str, float]:
    """Return all figures."""
    quota = CacheQuota(bytes=2**40, alert_at=2**39)
    cache, plain = CacheConnection(url, quota_of=lambda _: quota), redis.Redis.from_url(url)
    own, data = cache.tenant(TenantId.new()), orjson.dumps(SIGNAL)
    milliseconds = TTL_SECONDS * 1000
    times = await in_turns(
        {
            "plain_set": lambda n: plain.set(f"plain:signal:technical:S{n % KEYS}", data, px=milliseconds),
            "set": lambda n: own.put(
                "signal", "technical", f"S{n % KEYS}", value=SIGNAL, ttl_seconds=TTL_SECONDS
            ),
        }
    )
    times |= await in_turns(
        {
            "plain_get": lambda n: plain.get(f"plain:signal:technical:S{n % KEYS}"),
            "get": lambda n: own.get("signal", "technical", f"S{n % KEYS}"),
        }
    )
    figures: dict[str, float] = {}
    for name, found in times.items():
        figures[f"{name}_p50_ms"] = statistics.median(found)
        figures[f"{name}_p99_ms"] = statistics.quantiles(found, n=100)[98]
        figures[f"{name}_one_connection_per_s"] = 1000 / statistics.fmean(found)
    figures["set_p50_ratio"] = figures["set_p50_ms"] / figures["plain_set_p50_ms"]
    figures["get_p50_ratio"] = figures["get_p50_ms"] / figures["plain_get_p50_ms"]
    figures["set_per_s"] = await writes_per_second(cache)
    figures["evict_500_keys_ms"] = statistics.median(await eviction_ms(cache))
    await plain.aclose()
    await cache.close()
    return figures


def main() -> None:
    """Measure, print the table, write the report."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        # As the platform runs it: what is in the cache may be lost.
        server = EmbeddedRedis(Path(folder), password=secrets.token_urlsafe(16), append_only=False)
        server.start()
        try:
            figures = uvloop.run(measure(server.url))
        finally:
            server.stop()
    rows = [
        (label, *(figures[f"{name}_{unit}"] for unit in ("p50_ms", "p99_ms", "one_connection_per_s")))
        for label, name in (
            ("SET, plain redis-py", "plain_set"),
            ("SET, tenant's cache", "set"),
            ("GET, plain redis-py", "plain_get"),
            ("GET, tenant's cache", "get"),
        )
    ]
    print_table(
        f"A value of {len(orjson.dumps(SIGNAL))} bytes, {KEYS:,} keys, one connection, turn by turn",
        ("operation", "p50 ms", "p99 ms", "per second"),
        rows,
    )
    print(f"ratio at p50: SET {figures['set_p50_ratio']:.2f}, GET {figures['get_p50_ratio']:.2f}")
    print(f"writes with {WRITERS} tenants at once: {figures['set_per_s']:,.0f} per second")
    print(f"removing {EVICTED} values of {EVICTED_BYTES:,} bytes: {figures['evict_500_keys_ms']:.2f} ms")
    write_report("cache", figures)


if __name__ == "__main__":
    main()
