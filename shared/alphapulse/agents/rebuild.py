"""Sum the outcomes of signals anew, and mend track records that differ from that.

Reads DATABASE_URL and, unless tenants are named, PLATFORM_DATABASE_URL.
"""

import argparse
import asyncio
import sys
import uuid
from collections.abc import Sequence

from alphapulse.agents import track_records
from alphapulse.data import queries
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.runtime.settings import InvalidSetting, Settings
from alphapulse.tenancy.tenant import TenantId

_sql = queries.load(__file__, "rebuild.sql")


async def rebuild_all(resources: Resources, tenants: Sequence[uuid.UUID]) -> list[TenantId]:
    """Rebuild the records of these tenants, or of all, a transaction each; return those that were wrong."""
    wrong = []
    for tenant_id in [TenantId(one) for one in tenants] or await _all_tenants(resources):
        async with resources.database.tenant(tenant_id) as session:
            if not await track_records.rebuild(session, tenant_id, now=resources.clock()):
                wrong.append(tenant_id)
    return wrong


async def _all_tenants(resources: Resources) -> list[TenantId]:
    async with resources.platform.session() as session:
        return [TenantId(row["id"]) async for row in _sql.tenants(session)]


async def _run(tenants: Sequence[uuid.UUID]) -> list[TenantId]:
    resources = Resources(Settings.from_environment().replace(function="rebuild"))
    try:
        return await rebuild_all(resources, tenants)
    finally:
        await resources.close()


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m alphapulse.agents.rebuild", description=__doc__)
    parser.add_argument(
        "--tenant", action="append", type=uuid.UUID, default=[], help="one tenant; may be repeated"
    )
    try:
        wrong = asyncio.run(_run(parser.parse_args().tenant))
    except (InvalidSetting, NotConfigured) as error:
        parser.error(str(error))
    except DatabaseUnavailable as error:
        parser.error(f"the database does not answer: {error}")
    for tenant_id in wrong:
        print(f"{tenant_id}  mended")  # noqa: T201 - a command line
    print(f"{len(wrong)} track records mended")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(_main())
