"""Warm HTTP latency and throughput through the gateway, and signals per second end to end.

One platform of its own with every function up. Latency is measured one request at a time, throughput
with 16 connections; the client shares the machine, so the figures are what one machine does in all.
Run: `make bench-http`.
"""

import asyncio
import itertools
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from alphapulse_local.backing import DATABASE
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.testing import RunningPlatform
from tests.bench.report import print_table, write_report

WARM_UP_REQUESTS = 100
LATENCY_REQUESTS = 600
CONNECTIONS = 16
THROUGHPUT_SECONDS = 8.0
TENANTS = 4
SIGNAL_RUNS = 40
NO_LIMIT = 1_000_000_000

Call = Callable[[], Awaitable[None]]


class Tenant:
    """A signed-in tenant."""

    def __init__(self, session: aiohttp.ClientSession, url: str, number: int) -> None:
        self.session = session
        self.url = url
        self.account = {"email": f"bench-{number}-{time.time_ns()}@example.com", "password": "p" * 20}
        self.headers: dict[str, str] = {}

    async def sign_up(self) -> None:
        await self.call("POST", "/auth/signup", {**self.account, "company": "Bench", "tier": "enterprise"})
        tokens = await self.call("POST", "/auth/login", self.account)
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        while (await self.call("GET", "/tenants/me"))["status"] != "active":
            await asyncio.sleep(0.1)

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self.session.request(method, self.url + path, json=body, headers=self.headers) as answer:
            document = await answer.json()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {document}")
            return document


async def latency(call: Call) -> list[float]:
    """Return milliseconds of requests made one after the other."""
    for _ in range(WARM_UP_REQUESTS):
        await call()
    times = []
    for _ in range(LATENCY_REQUESTS):
        started = time.perf_counter()
        await call()
        times.append((time.perf_counter() - started) * 1000)
    return times


async def throughput(call: Call) -> float:
    """Return requests per second over several connections."""
    end = time.perf_counter() + THROUGHPUT_SECONDS
    count = 0

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < end:
            await call()
            count += 1

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return count / (time.perf_counter() - started)


async def signals_per_second(tenant: Tenant) -> float:
    """Return signals per second from the first request to the last consensus."""
    listed = await tenant.call("GET", "/market/instruments")
    symbols = [item["symbol"] for item in listed["items"]][:10]
    started = time.perf_counter()
    runs = [await tenant.call("POST", "/agents/run", {"symbols": symbols}) for _ in range(SIGNAL_RUNS)]
    for run in runs:
        while (await tenant.call("GET", f"/agents/runs/{run['run_id']}"))["status"] == "running":
            await asyncio.sleep(0.05)
    return len(symbols) * SIGNAL_RUNS / (time.perf_counter() - started)


async def lift_limits(database_url: str) -> None:
    """Agree with every tenant on more requests than this can make: the limiter counts, and lets through."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "UPDATE alphapulse.tenant_configs SET limit_overrides = $1::text::jsonb",
            f'{{"requests_per_minute": {NO_LIMIT}}}',
        )
    finally:
        await connection.close()


async def measure(url: str, database_url: str) -> dict[str, float]:
    """Return all figures."""
    figures: dict[str, float] = {}
    async with aiohttp.ClientSession() as session:
        tenants = [Tenant(session, url, number) for number in range(TENANTS)]
        for tenant in tenants:
            await tenant.sign_up()
        await lift_limits(database_url)
        while not (await tenants[0].call("GET", "/market/BTC-USDT/candles?interval=1d"))["items"]:
            await asyncio.sleep(0.2)
        figures["signals_end_to_end_per_s"] = await signals_per_second(tenants[0])
        turn = itertools.cycle(tenants)
        order = {"symbol": "BTC-USDT", "side": "buy", "type": "market", "quantity": "0.0001"}
        calls: dict[str, Call] = {
            "get_portfolio": lambda: next(turn).call("GET", "/portfolio"),
            "get_signals": lambda: next(turn).call("GET", "/agents/signals?symbol=BTC-USDT"),
            "post_trades": lambda: next(turn).call("POST", "/trades", order),
        }
        for name, call in calls.items():
            times = await latency(call)
            figures[f"{name}_p50_ms"] = statistics.median(times)
            figures[f"{name}_p99_ms"] = statistics.quantiles(times, n=100)[98]
            figures[f"{name}_rps"] = await throughput(call)
    return figures


def main() -> None:
    """Measure, print the table, write the report."""
    with tempfile.TemporaryDirectory() as folder:
        database = EmbeddedPostgres(Path(folder) / "postgres", password=secrets.token_urlsafe(16))
        database.start()
        environment = {"DATABASE_URL": database.url(), "IP_REQUESTS_PER_MINUTE": str(NO_LIMIT)}
        platform = RunningPlatform(Path(folder) / "platform", warm=True, environment=environment)
        try:
            platform.start(timeout_seconds=120)
            figures = asyncio.run(measure(platform.url, database.url(database=DATABASE)))
        finally:
            platform.stop()
            database.stop()
    rows = [
        (route, *(round(figures[f"{route}_{unit}"], 1) for unit in ("p50_ms", "p99_ms", "rps")))
        for route in ("get_portfolio", "get_signals", "post_trades")
    ]
    print_table(
        f"Warm, through the gateway: latency of single requests, throughput with {CONNECTIONS} connections",
        ("route", "p50 ms", "p99 ms", "requests/s"),
        rows,
    )
    print(f"signals end to end: {figures['signals_end_to_end_per_s']:.0f} per second")
    write_report("http", figures)


if __name__ == "__main__":
    main()
