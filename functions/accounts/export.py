"""Everything the platform holds of a tenant, as a zip file of JSON lines.

The tables come from the live schema, so that a new table is exported without anybody thinking of
it. What is left out: machinery (outbox, processed events, first answers by Idempotency-Key), and
every column that holds a secret or a hash of one.
"""

import io
import re
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.tenant import TenantId

_PAGE: Final = 1_000
_FIELDS: Final = 40
# Deliveries and first answers, which may hold a secret that was shown once.
_MACHINERY: Final = frozenset({"outbox", "processed_events", "idempotency_keys"})
_SECRET_COLUMN: Final = re.compile(r"hash|secret|token|password|cipher|sealed|nonce|salt")
# Proofs of the audit log, not secrets: whoever exports it may want to check the chain.
_NO_SECRETS: Final = frozenset({("audit_log", "hash"), ("audit_log", "previous_hash")})

sql = queries.load(__file__, "export.sql")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is exported.

    Attributes
    ----------
    numbers
        Columns of exact numbers, which are exported as texts: JSON's own numbers are often not exact.
    key
        The columns of its primary key, with their types.
    """

    name: str
    tenant_column: str
    columns: tuple[str, ...]
    numbers: frozenset[str]
    key: tuple[tuple[str, str], ...]


class _Outlet(io.RawIOBase):
    """Where the zip file is written to, and taken from in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


async def archive(scope: Scope) -> AsyncIterator[bytes]:
    """Yield the bytes of the zip file; pages of a table are read in short transactions each."""
    outlet = _Outlet()
    counts = {}
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as file:
        for table in await _tables(scope):
            rows = 0
            with file.open(f"{table.name}.jsonl", "w") as lines:
                async for page in _pages(scope, table):
                    lines.write(b"".join(row.encode() + b"\n" for row in page))
                    rows += len(page)
                    yield outlet.take()
            counts[table.name] = rows
        manifest = {
            "tenant_id": str(scope.tenant_id),
            "exported_at": scope.now.isoformat(),
            "rows": counts,
        }
        file.writestr("manifest.json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    yield outlet.take()


async def tables(session: Session) -> list[Table]:
    """Return what is exported, read from the live schema with the session's own rights."""
    return [_table(row) async for row in sql.readable_tables(session) if row["name"] not in _MACHINERY]


async def _tables(scope: Scope) -> list[Table]:
    async with scope.transaction() as work:
        return await tables(work.session)


def _table(row: Any) -> Table:
    name = row["name"]
    columns = tuple(
        column
        for column in row["columns"]
        if not _SECRET_COLUMN.search(column) or (name, column) in _NO_SECRETS
    )
    key = tuple(zip(row["key"], row["key_types"], strict=True))
    numbers = frozenset(row["numbers"])
    return Table(name=name, tenant_column=row["tenant_column"], columns=columns, numbers=numbers, key=key)


async def _pages(scope: Scope, table: Table) -> AsyncIterator[list[str]]:
    after: list[str] | None = None
    while True:
        async with scope.transaction() as work:
            rows = await _page(work.session, scope.tenant_id, table, after)
        if rows:
            yield [row["line"] for row in rows]
        if len(rows) < _PAGE:
            return
        after = list(rows[-1]["key"])


async def _page(session: Session, tenant_id: TenantId, table: Table, after: list[str] | None) -> Any:
    key = [_identifier(name) for name, _ in table.key]
    where, arguments = f"{_identifier(table.tenant_column)} = $1", [tenant_id.value, *(after or [])]
    if after is not None:
        values = [f"CAST(CAST(${n} AS text) AS {kind})" for n, (_, kind) in enumerate(table.key, start=2)]
        where += f" AND ({', '.join(key)}) > ({', '.join(values)})"
    # Names come from the catalogue and are quoted; values are arguments.
    statement = (
        f"SELECT {_line(table)} AS line, ARRAY[{', '.join(f'CAST({name} AS text)' for name in key)}] AS key"  # noqa: S608 - see above
        f" FROM {_identifier(table.name)} WHERE {where} ORDER BY {', '.join(key)} LIMIT {_PAGE}"
    )
    return await session.fetch(statement, *arguments)


def _line(table: Table) -> str:
    """Return the SQL expression of a row as a line of JSON."""
    fields = []
    for column in table.columns:
        name = _identifier(column)
        value = f"CAST({name} AS text)" if column in table.numbers else name
        fields.append("'" + column.replace("'", "''") + f"', {value}")
    # Functions take 100 arguments; a wider table's row is put together from parts.
    parts = [fields[start : start + _FIELDS] for start in range(0, len(fields), _FIELDS)]
    objects = [f"jsonb_build_object({', '.join(part)})" for part in parts]
    return f"CAST({' || '.join(objects)} AS text)"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
