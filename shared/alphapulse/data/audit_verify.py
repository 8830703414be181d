"""Verify that audit logs are as they were written: `python -m alphapulse.data.audit_verify`.

Each row's hash is computed anew, here and not by the database's own function, from what the row holds
and from the hash of the row before it. A changed, inserted, exchanged or removed row breaks the chain
at its place. Rows removed at the end leave a chain that is whole: `--heads` keeps the last row seen of
each chain in a file, best on another machine, and the next run asks for it.

The database is reached with PLATFORM_DATABASE_URL. The exit status is 1 when a chain is broken.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alphapulse.data import queries
from alphapulse.data.errors import DatabaseUnavailable
from alphapulse.data.pool import LazyPool, Transaction, begin_for
from alphapulse.data.session import Session

_BATCH = 5000

_sql = queries.load(__file__, "audit_verify.sql")


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a chain."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one tenant's chain.

    Attributes
    ----------
    entries
        How many rows were read.
    head
        The last row that is as it was written, None if there is none.
    broken_at
        The first sequence number that is not as it was written, None if all are.
    reason
        What is wrong there.
    """

    tenant_id: uuid.UUID
    entries: int
    head: Head | None
    broken_at: int | None = None
    reason: str | None = None


async def verify(session: Session, tenant_id: uuid.UUID, *, seen: Head | None = None) -> Verdict:
    """Verify one tenant's chain.

    Parameters
    ----------
    session
        Of this tenant, with a role that may read the log.
    seen
        The last row of an earlier run, which must still be there.
    """
    expected, entries, head = hashlib.sha256(tenant_id.bytes).digest(), 0, None
    while True:
        rows = [row async for row in _sql.batch(session, tenant_id=tenant_id, after=entries, limit=_BATCH)]
        for row in rows:
            reason = _fault(row, sequence=entries + 1, previous=expected, seen=seen)
            if reason is not None:
                return Verdict(
                    tenant_id=tenant_id, entries=entries, head=head, broken_at=entries + 1, reason=reason
                )
            expected, entries = row["hash"], entries + 1
            head = Head(entries, expected.hex())
        if len(rows) < _BATCH:
            break
    if seen is not None and seen.sequence > entries:
        reason = f"rows up to {seen.sequence} were there and are gone"
        return Verdict(tenant_id=tenant_id, entries=entries, head=head, broken_at=entries + 1, reason=reason)
    return Verdict(tenant_id=tenant_id, entries=entries, head=head)


async def verify_all(
    url: str, tenants: list[uuid.UUID] | None = None, *, seen: Mapping[uuid.UUID, Head] | None = None
) -> list[Verdict]:
    """Verify the chains of some tenants, or of all that there are or were seen.

    Raises
    ------
    DatabaseUnavailable
        The database does not answer.
    """
    known = seen or {}
    pool = LazyPool(url, application_name="audit-verify", min_size=0, max_size=1, statement_cache_size=100)
    try:
        if tenants is None:
            async with _transaction(pool, None) as session:
                found = {row["id"] async for row in _sql.tenants(session)}
            tenants = sorted(found | known.keys())
        verdicts = []
        for tenant_id in tenants:
            async with _transaction(pool, tenant_id) as session:
                verdicts.append(await verify(session, tenant_id, seen=known.get(tenant_id)))
        return verdicts
    finally:
        await pool.close()


def _transaction(pool: LazyPool, tenant_id: uuid.UUID | None) -> Transaction[Session]:
    return pool.transaction(lambda one: Session(one, tenant=tenant_id), begin=begin_for(tenant_id))


def _fault(row: Any, *, sequence: int, previous: bytes, seen: Head | None) -> str | None:
    if row["sequence"] != sequence:
        return f"the row is missing; the next one is {row['sequence']}"
    if row["previous_hash"] != previous:
        return "it does not follow the row before it"
    if row["hash"] != hashlib.sha256(previous + row["covered"].encode()).digest():
        return "its content is not what its hash says"
    if seen is not None and seen.sequence == sequence and seen.hash != row["hash"].hex():
        return "it is another row than the one seen before"
    return None


def _read_heads(file: Path | None) -> dict[uuid.UUID, Head]:
    if file is None or not file.exists():
        return {}
    return {uuid.UUID(tenant): Head(**head) for tenant, head in json.loads(file.read_text()).items()}


def _write_heads(file: Path, seen: dict[uuid.UUID, Head], verdicts: list[Verdict]) -> None:
    """Keep the newest rows; of a broken chain what was seen before, so that it stays broken."""
    heads = seen | {
        verdict.tenant_id: verdict.head
        for verdict in verdicts
        if verdict.broken_at is None and verdict.head is not None
    }
    written = file.with_suffix(".new")
    written.write_text(json.dumps({str(tenant): asdict(head) for tenant, head in heads.items()}, indent=1))
    written.replace(file)


def _show(verdicts: list[Verdict], *, as_json: bool) -> None:
    broken = [verdict for verdict in verdicts if verdict.broken_at is not None]
    if as_json:
        rows = [asdict(verdict) | {"tenant_id": str(verdict.tenant_id)} for verdict in verdicts]
        print(json.dumps({"chains": rows, "broken": len(broken)}))  # noqa: T201 - a command line
        return
    for verdict in verdicts:
        state = "whole" if verdict.broken_at is None else f"BROKEN at {verdict.broken_at}: {verdict.reason}"
        print(f"{verdict.tenant_id}  {verdict.entries:>8}  {state}")  # noqa: T201 - as above
    print(f"{len(verdicts)} chains, {len(broken)} broken")  # noqa: T201 - as above


def _main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m alphapulse.data.audit_verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tenant", action="append", type=uuid.UUID, help="one tenant; may be repeated")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--heads", type=Path, help="file of the last rows seen; read, and written anew")
    options = parser.parse_args()
    url = os.environ.get("PLATFORM_DATABASE_URL")
    if not url:
        parser.error("PLATFORM_DATABASE_URL is not set")
    seen = _read_heads(options.heads)
    try:
        verdicts = asyncio.run(verify_all(url, options.tenant, seen=seen))
    except DatabaseUnavailable as error:
        parser.error(f"the database does not answer: {error}")
    _show(verdicts, as_json=options.json)
    if options.heads is not None:
        _write_heads(options.heads, seen, verdicts)
    return 1 if any(verdict.broken_at is not None for verdict in verdicts) else 0


if __name__ == "__main__":
    sys.exit(_main())
