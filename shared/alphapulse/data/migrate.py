"""Bring a database to the newest schema.

`python -m alphapulse.data.migrate upgrade|current|check` with `OWNER_DATABASE_URL` set. `check`
fails when the database is not at the newest revision.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

_REVISIONS = Path(__file__).parent / "migrations" / "versions"


class SchemaTooNew(RuntimeError):
    """The database has a revision that this code does not know."""


def head() -> str:
    """Return the newest revision this code knows."""
    return max(path.name[:4] for path in _REVISIONS.glob("[0-9]*.sql"))


async def current(owner_url: str) -> str | None:
    """Return the database's revision; None when nothing has been migrated."""
    import asyncpg  # noqa: PLC0415 - functions import this package without a database

    connection = await asyncpg.connect(owner_url)
    try:
        if await connection.fetchval("SELECT to_regclass('alphapulse.alembic_version')") is None:
            return None
        revision: str | None = await connection.fetchval("SELECT version_num FROM alphapulse.alembic_version")
        return revision
    finally:
        await connection.close()


async def upgrade(owner_url: str) -> bool:
    """Run all pending revisions, in one transaction.

    Returns
    -------
    bool
        False when there was nothing to do; this is found out without loading Alembic.

    Raises
    ------
    SchemaTooNew
        The database was migrated by newer code.
    """
    found = await current(owner_url)
    if found == head():
        return False
    if found is not None and found > head():
        raise SchemaTooNew(f"the database is at revision {found}, this code knows {head()} and older")
    await asyncio.to_thread(_run_alembic, owner_url)
    return True


def _run_alembic(owner_url: str) -> None:
    from alembic import command  # noqa: PLC0415 - a second is too much for a database that is at head
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_REVISIONS.parent))
    config.set_main_option("path_separator", "os")
    # Not an option: those are printed and interpolated, and the URL carries a password.
    config.attributes["url"] = owner_url
    command.upgrade(config, "head")


async def _main(action: str, owner_url: str) -> int:
    if action == "upgrade":
        changed = await upgrade(owner_url)
        print(f"migrated to {head()}" if changed else f"already at {head()}")  # noqa: T201 - a command line
        return 0
    found = await current(owner_url)
    print(f"database at {found or 'nothing'}, newest {head()}")  # noqa: T201 - as above
    return 0 if action == "current" or found == head() else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m alphapulse.data.migrate", description=__doc__)
    parser.add_argument("action", choices=("upgrade", "current", "check"))
    url = os.environ.get("OWNER_DATABASE_URL")
    if not url:
        sys.exit("OWNER_DATABASE_URL is not set")
    sys.exit(asyncio.run(_main(parser.parse_args().action, url)))
