"""What row-level security costs: `python -m tests.bench.bench_rls`.

100 tenants with 10,000 trades each. The same five queries, with their explicit tenant predicate,
run three ways by the same role with the same settings:

- `tenant`: as functions do, `async with database.tenant(...)`, on the tables with policies;
- `plain`: the same transaction without the tenant setting, on copies of the tables without policies;
- `bare`: one statement and no transaction, on the copies.

The overhead is that of `tenant` over `plain`, medians, the setting of the tenant included.
"""

import argparse
import asyncio
import datetime as dt
import gc
import hashlib
import secrets
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import asyncpg
import uvloop

from alphapulse.data import migrate
from alphapulse.data.bootstrap import DatabaseUrls, RolePasswords, create_database
from alphapulse.data.session import Session
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from tests.bench.report import print_table, write_report

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
WARM_UP = 100
TARGET_PCT = 10.0

_COLUMNS = (
    "t.id, t.client_order_id, t.exchange, t.symbol, t.side, t.type, t.quantity, t.price, t.status,"
    " t.filled_quantity, t.average_price, t.created_at"
)


@dataclass(frozen=True)
class Shape:
    """A query, how often to run it, and its arguments for a tenant and a repetition."""

    name: str
    title: str
    repetitions: int
    query: str
    arguments: Callable[[int, int], tuple[Any, ...]]

    def on(self, suffix: str) -> str:
        return self.query.format(columns=_COLUMNS, trades=f"trades{suffix}", positions=f"positions{suffix}")


def shapes(trades_per_tenant: int) -> list[Shape]:
    hours = max(trades_per_tenant // 60 - 1, 1)

    def key(tenant: int, k: int) -> tuple[Any, ...]:
        return tenant_uuid(tenant), digest(f"trade {tenant} {k % trades_per_tenant}")

    def newest(tenant: int, _: int) -> tuple[Any, ...]:
        return (tenant_uuid(tenant),)

    def hour(tenant: int, k: int) -> tuple[Any, ...]:
        start = EPOCH + (k % hours) * HOUR
        return tenant_uuid(tenant), start, start + HOUR

    return [
        Shape(
            "primary_key",
            "primary key",
            10_000,
            "SELECT {columns} FROM {trades} t WHERE t.tenant_id = $1 AND t.id = $2",
            key,
        ),
        Shape(
            "newest_100",
            "newest 100",
            3000,
            "SELECT {columns} FROM {trades} t WHERE t.tenant_id = $1 ORDER BY t.created_at DESC LIMIT 100",
            newest,
        ),
        Shape(
            "time_range",
            "one hour",
            3000,
            "SELECT {columns} FROM {trades} t"
            " WHERE t.tenant_id = $1 AND t.created_at >= $2 AND t.created_at < $3",
            hour,
        ),
        Shape(
            "aggregate",
            "aggregate by symbol",
            400,
            "SELECT t.symbol, count(*), sum(t.quantity * t.price) FROM {trades} t"
            " WHERE t.tenant_id = $1 GROUP BY t.symbol",
            newest,
        ),
        Shape(
            "join",
            "join with positions",
            3000,
            "SELECT {columns}, p.quantity AS held, p.average_price AS cost FROM {trades} t"
            " JOIN {positions} p"
            " ON p.tenant_id = t.tenant_id AND p.exchange = t.exchange AND p.symbol = t.symbol"
            " WHERE t.tenant_id = $1 AND t.created_at >= $2 AND t.created_at < $3",
            hour,
        ),
    ]


def digest(text: str) -> uuid.UUID:
    return uuid.UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def tenant_uuid(number: int) -> uuid.UUID:
    return digest(f"tenant {number}")


_LOAD = """
SET session_replication_role = replica;
INSERT INTO tenants (id, company, tier, status)
SELECT md5('tenant ' || n)::uuid, 'Company ' || n, 'pro', 'active' FROM generate_series(0, {tenants} - 1) n;
INSERT INTO positions (tenant_id, exchange, symbol, quantity, average_price)
SELECT id, 'paper', 'C' || s || '-USD', 1, 100 FROM tenants, generate_series(0, 19) s;
INSERT INTO trades (tenant_id, id, client_order_id, exchange, symbol, side, type, quantity, price, status,
    filled_quantity, average_price, fee_amount, fee_currency, created_at)
SELECT md5('tenant ' || n)::uuid, md5('trade ' || n || ' ' || k)::uuid, md5('order ' || n || ' ' || k),
    'paper', 'C' || k % 20 || '-USD', CASE WHEN k % 2 = 0 THEN 'buy' ELSE 'sell' END, 'limit',
    1 + k % 7, 100 + k % 50, 'filled', 1 + k % 7, 100 + k % 50, 0.1, 'USD',
    timestamptz '2026-01-01 00:00Z' + k * interval '1 minute'
FROM generate_series(0, {trades} - 1) k, generate_series(0, {tenants} - 1) n;
"""


async def load(url: str, *, tenants: int, trades: int) -> None:
    """Fill the tables, and make copies that differ only in having no policies."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "alphapulse", "jit": "off"})
    try:
        await connection.execute(_LOAD.format(tenants=tenants, trades=trades))
        await connection.execute("CREATE TABLE positions_plain (LIKE positions INCLUDING ALL)")
        await connection.execute(
            "CREATE TABLE trades_plain (LIKE trades INCLUDING ALL) PARTITION BY HASH (tenant_id)"
        )
        partitions = await connection.fetch(
            "SELECT pg_get_expr(relpartbound, oid) AS bound FROM pg_class"
            " WHERE relispartition AND relkind = 'r' AND relname LIKE 'trades%' ORDER BY relname"
        )
        for number, row in enumerate(partitions):
            await connection.execute(
                f"CREATE TABLE trades_plain_{number} PARTITION OF trades_plain {row['bound']}"
            )
        for table in ("positions", "trades"):
            await connection.execute(f"INSERT INTO {table}_plain SELECT * FROM {table}")
            await connection.execute(f"GRANT SELECT ON {table}_plain TO alphapulse_app")
            await connection.execute(f"VACUUM (ANALYZE) {table}")
            await connection.execute(f"VACUUM (ANALYZE) {table}_plain")
    finally:
        await connection.close()


Run = Callable[[int, tuple[Any, ...]], Awaitable[list[asyncpg.Record]]]


class Contestants:
    """The three ways. `tenant` and `plain` share a connection, so that the server process is the same."""

    def __init__(self, urls: DatabaseUrls, tenants: int) -> None:
        self.ids = [TenantId(tenant_uuid(number)) for number in range(tenants)]
        self.database = Database(urls.app, application_name="bench", max_size=1)
        self.url = urls.app

    async def __aenter__(self) -> Self:
        self.connection = await asyncpg.connect(self.url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await self.database.close()

    def of(self, shape: Shape) -> dict[str, Run]:
        policed, plain = shape.on(""), shape.on("_plain")

        async def as_tenant(tenant: int, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
            async with self.database.tenant(self.ids[tenant]) as session:
                return await session.fetch(policed, *arguments)

        async def as_plain(_: int, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
            async with self.database._pool.transaction(_plain_session, begin="BEGIN") as session:
                return await session.fetch(plain, *arguments)

        async def bare(_: int, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
            return await self.connection.fetch(plain, *arguments)

        return {"tenant": as_tenant, "plain": as_plain, "bare": bare}


def _plain_session(connection: Any) -> Session:
    return Session(connection, tenant=None)


async def measure(shape: Shape, contestants: Contestants) -> dict[str, float]:
    """Return the median of each way in microseconds."""
    runs = contestants.of(shape)
    # The bare read comes afterwards: in between, it would keep the plain tables' pages in the
    # processor's caches, and nothing would do that for the tables with policies.
    medians = await alternate(shape, {way: runs[way] for way in ("tenant", "plain")}, contestants)
    return medians | await alternate(shape, {"bare": runs["bare"]}, contestants)


async def alternate(shape: Shape, runs: dict[str, Run], contestants: Contestants) -> dict[str, float]:
    """Run each way in turn, going first as often as the others, with tenants rotating."""
    ways = list(runs)
    samples: dict[str, list[int]] = {way: [] for way in ways}
    tenants = len(contestants.ids)
    for k in range(shape.repetitions + WARM_UP):
        tenant = k * 7 % tenants
        arguments = shape.arguments(tenant, k)
        for turn in range(len(ways)):
            way = ways[(k + turn) % len(ways)]
            began = time.perf_counter_ns()
            rows = await runs[way](tenant, arguments)
            took = time.perf_counter_ns() - began
            if not rows:
                raise RuntimeError(f"{shape.name} as {way} found nothing")
            if k >= WARM_UP:
                samples[way].append(took)
    return {way: statistics.median(taken) / 1000 for way, taken in samples.items()}


async def run(
    urls: DatabaseUrls, admin_url: str, *, tenants: int, trades: int
) -> dict[str, dict[str, float]]:
    await migrate.upgrade(urls.owner)
    began = time.perf_counter()
    await load(admin_url, tenants=tenants, trades=trades)
    print(f"loaded {tenants} tenants x {trades:,} trades twice in {time.perf_counter() - began:.0f} s")
    gc.disable()
    async with Contestants(urls, tenants) as contestants:
        return {shape.name: await measure(shape, contestants) for shape in shapes(trades)}


def report(medians: dict[str, dict[str, float]], titles: dict[str, str]) -> None:
    figures: dict[str, float] = {}
    rows = []
    for name, median in medians.items():
        overhead = 100 * (median["tenant"] / median["plain"] - 1)
        over_bare = 100 * (median["tenant"] / median["bare"] - 1)
        figures[f"{name}_overhead_pct"] = overhead
        figures[f"{name}_over_bare_read_pct"] = over_bare
        figures |= {f"{name}_{way}_p50_us": median[way] for way in median}
        verdict = "met" if overhead < TARGET_PCT else "missed"
        rows.append(
            [titles[name], median["tenant"], median["plain"], overhead, verdict, median["bare"], over_bare]
        )
    print_table(
        "Row-level security, medians in microseconds",
        ["query", "tenant", "plain", "overhead %", "< 10 %", "bare read", "over bare %"],
        rows,
    )
    write_report("rls", figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--trades", type=int, default=10_000, help="per tenant, at least 120")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alphapulse-bench-") as directory:
        server = EmbeddedPostgres(Path(directory), password=secrets.token_urlsafe(16), durable=False)
        server.start()
        try:
            urls = asyncio.run(create_database(server.url(), passwords=RolePasswords.random()))
            admin_url = server.url(database="alphapulse")
            medians = uvloop.run(run(urls, admin_url, tenants=options.tenants, trades=options.trades))
        finally:
            server.stop()
    report(medians, {shape.name: shape.title for shape in shapes(options.trades)})


if __name__ == "__main__":
    main()
