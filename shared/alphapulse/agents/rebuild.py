"""Sum the outcomes of signals anew, and mend track records that differ from that.

Reads DATABASE_URL and, unless tenants are named, PLATFORM_DATABASE_URL.
"""

import argparse
import asyncio
import datetime as dt
import os
import sys
import uuid
from collections.abc import Sequence

from alphapulse.agents import track_records
from alphapulse.data import queries
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId

_sql = queries.load(__file__, "rebuild.sql")


async def all_tenants(platform: PlatformDatabase) -> list[TenantId]:
    """Return the tenants there are."""
    async with platform.session() as session:
        return [TenantId(row["id"]) async for row in _sql.tenants(session)]


async def rebuild_all(database: Database, tenants: Sequence[TenantId], *, now: dt.datetime) -> list[TenantId]:
    """Rebuild each tenant's track records, in a transaction each; return those that were wrong."""
    wrong = []
    for tenant_id in tenants:
        async with database.tenant(tenant_id) as session:
            if not await track_records.rebuild(session, tenant_id, now=now):
                wrong.append(tenant_id)
    return wrong


async def _run(url: str, platform_url: str, tenants: Sequence[uuid.UUID] | None) -> int:
    database = Database(url, application_name="rebuild")
    platform = PlatformDatabase(platform_url)
    try:
        found = [TenantId(one) for one in tenants] if tenants else await all_tenants(platform)
        wrong = await rebuild_all(database, found, now=dt.datetime.now(dt.UTC))
    finally:
        await platform.close()
        await database.close()
    for tenant_id in wrong:
        print(f"{tenant_id}  mended")  # noqa: T201 - a command line
    print(f"{len(found)} tenants, {len(wrong)} track records mended")  # noqa: T201 - as above
    return 0


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m alphapulse.agents.rebuild", description=__doc__)
    parser.add_argument("--tenant", action="append", type=uuid.UUID, help="one tenant; may be repeated")
    options = parser.parse_args()
    url, platform_url = os.environ.get("DATABASE_URL", ""), os.environ.get("PLATFORM_DATABASE_URL", "")
    if not url:
        parser.error("DATABASE_URL is not set")
    if not (platform_url or options.tenant):
        parser.error("PLATFORM_DATABASE_URL is not set, and no tenant is named")
    try:
        return asyncio.run(_run(url, platform_url, options.tenant))
    except DatabaseUnavailable as error:
        parser.error(f"the database does not answer: {error}")


if __name__ == "__main__":
    sys.exit(_main())
