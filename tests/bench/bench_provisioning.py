"""How long from a sign-up to an active tenant: warm, with all functions at zero, and fifty at once.

Measured at the database, beside the platform: from before `POST /auth/signup` is sent until the
tenant's row says active. PostgreSQL reports every wait for a lock of 20 ms and more; there must be none.

Run: `make bench-provisioning`.
"""

import asyncio
import re
import secrets
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
import asyncpg

from alphapulse_local.backing import DATABASE
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.testing import RunningPlatform
from tests.bench.report import print_table, write_report

SIGN_UPS = 20
AT_ONCE = 50
IDLE_SECONDS = 1.0
DEADLINE_SECONDS = 150.0
LOCK_WAIT_MILLISECONDS = 20
NO_LIMIT = "1000000000"
_PASSWORD = "a long pass phrase"
_LOCK_WAIT = re.compile(r"still waiting for \w+ on")


async def sign_up(http: aiohttp.ClientSession, url: str) -> str:
    """Send a sign-up and return the tenant's id."""
    body = {"email": f"{secrets.token_hex(8)}@example.com", "password": _PASSWORD, "company": "Bench"}
    async with http.post(f"{url}/auth/signup", json=body) as answer:
        document = await answer.json()
        if answer.status != 202:
            raise RuntimeError(f"sign-up was answered {answer.status}: {document}")
        tenant_id: str = document["tenant_id"]
        return tenant_id


async def all_active(database: asyncpg.Connection, tenants: list[str]) -> None:
    """Return when all tenants are active.

    Raises
    ------
    RuntimeError
        One failed, or is not active in time.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        rows = await database.fetch(
            "SELECT status, count(*) FROM alphapulse.tenants WHERE id = ANY($1::uuid[]) GROUP BY status",
            tenants,
        )
        found = {row["status"]: row["count"] for row in rows}
        if found == {"active": len(tenants)}:
            return
        if "failed" in found or time.monotonic() > deadline:
            raise RuntimeError(f"not all tenants became active: {found}")
        await asyncio.sleep(0.01)


async def one_by_one(
    platform: RunningPlatform, database: asyncpg.Connection, *, at_zero: bool
) -> list[float]:
    """Return the seconds of each sign-up, begun when no function runs, or whatever runs."""
    seconds = []
    async with aiohttp.ClientSession() as http:
        if not at_zero:
            await all_active(database, [await sign_up(http, platform.url)])
        for _ in range(SIGN_UPS):
            while at_zero and any(function["pid"] for function in platform.status()["functions"]):
                await asyncio.sleep(0.1)
            began = time.perf_counter()
            await all_active(database, [await sign_up(http, platform.url)])
            seconds.append(time.perf_counter() - began)
    return seconds


async def at_once(platform: RunningPlatform, database: asyncpg.Connection) -> float:
    """Return the seconds until all of many sign-ups at once are active."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as http:
        began = time.perf_counter()
        tenants = await asyncio.gather(*(sign_up(http, platform.url) for _ in range(AT_ONCE)))
        await all_active(database, tenants)
        return time.perf_counter() - began


async def measure(folder: Path, server: EmbeddedPostgres) -> dict[str, float]:
    """Return all figures."""
    figures: dict[str, float] = {}
    environment = {"DATABASE_URL": server.url(), "IP_REQUESTS_PER_MINUTE": NO_LIMIT}
    await report_lock_waits(server)
    for name, options in (("warm", {"warm": True}), ("from_zero", {"idle_seconds": IDLE_SECONDS})):
        platform = RunningPlatform(folder / name, environment=environment, **options)  # type: ignore[arg-type]
        platform.start(timeout_seconds=180)
        database = await asyncpg.connect(server.url(database=DATABASE))
        try:
            seconds = await one_by_one(platform, database, at_zero=name == "from_zero")
            figures[f"{name}_median_s"] = statistics.median(seconds)
            figures[f"{name}_worst_s"] = max(seconds)
            if name == "warm":
                figures["fifty_at_once_s"] = await at_once(platform, database)
        finally:
            await database.close()
            platform.stop()
    waits = _LOCK_WAIT.findall(server.log.read_text(errors="replace"))
    figures["lock_waits"] = len(waits)
    return figures


async def report_lock_waits(server: EmbeddedPostgres) -> None:
    """Have the server log every wait for a lock that lasts a little."""
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute("ALTER SYSTEM SET log_lock_waits = on")
        await connection.execute(f"ALTER SYSTEM SET deadlock_timeout = '{LOCK_WAIT_MILLISECONDS}ms'")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


def main() -> None:
    """Measure, print the table, write the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "postgres", password=secrets.token_urlsafe(16))
        server.start()
        try:
            figures = asyncio.run(measure(folder, server))
        finally:
            server.stop()
    rows = [
        ("warm", figures["warm_median_s"], figures["warm_worst_s"]),
        ("all functions at zero", figures["from_zero_median_s"], figures["from_zero_worst_s"]),
        (f"{AT_ONCE} at once, until the last is active", figures["fifty_at_once_s"], None),
    ]
    print_table(
        f"From sign-up to active, {SIGN_UPS} sign-ups one by one", ("sign-up", "median s", "worst s"), rows
    )
    print(f"waits for a lock of {LOCK_WAIT_MILLISECONDS} ms or more: {figures['lock_waits']:.0f}")
    write_report("provisioning", figures)


if __name__ == "__main__":
    main()
