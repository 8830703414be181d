"""Loading of query files."""

import subprocess
import sys
from pathlib import Path

import pytest

from alphapulse.data import queries


def test_a_missing_file_is_told_when_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"queries\.sql"):
        queries.load(tmp_path / "service.py")


async def test_a_query_is_called_by_name_with_named_parameters(tmp_path: Path) -> None:
    (tmp_path / "queries.sql").write_text(
        "-- name: price_of$\nSELECT price::text FROM x WHERE a = :a AND b = :b AND c = :a;\n"
    )
    calls: list[tuple[object, ...]] = []

    class Recorder:
        async def fetchval(self, *arguments: object) -> str:
            calls.append(arguments)
            return "1.50"

    sql = queries.load(tmp_path / "service.py")

    assert await sql.price_of(Recorder(), b=2, a=1) == "1.50"
    assert calls == [("SELECT price::text FROM x WHERE a = $1 AND b = $2 AND c = $1;", 1, 2)]


def test_an_unknown_query_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "queries.sql").write_text("-- name: one$\nSELECT 1;\n")

    with pytest.raises(AttributeError):
        queries.load(tmp_path / "service.py").two  # noqa: B018 - reading it is the point


def test_importing_the_package_loads_neither_driver_nor_migrations() -> None:
    program = (
        "import sys, alphapulse.tenancy.database, alphapulse.tenancy.platform_database,"
        " alphapulse.data.outbox, alphapulse.data.processed, alphapulse.data.idempotency;"
        " print({'asyncpg', 'aiosql', 'alembic', 'sqlalchemy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert found.stdout == "set()\n"
