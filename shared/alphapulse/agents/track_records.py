"""Kept sums over the outcomes of a tenant's signals.

They are added to in the transactions that settle outcomes, so that at any moment they are what the outcomes
give when they are summed anew; :func:`rebuild` does that.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.domain.track_record import TrackRecord
from alphapulse.tenancy.tenant import TenantId

_sql = queries.load(__file__, "track_records.sql")
_SUMS = tuple(field.name for field in fields(TrackRecord))

#: The source of prices of what could not be scored.
NO_SOURCE: Final = "none"


@dataclass(frozen=True, slots=True, order=True)
class RecordKey:
    """What a track record is about: whose signals on what, over which bars, in which market, at whose prices.

    Those that could not be scored are in the regime ``unknown`` and have no source of prices, ``none``.
    """

    agent: str
    symbol: str
    interval: str
    regime: str
    source: str


async def try_lock(session: Session, tenant_id: TenantId) -> bool:
    """Take the tenant's outcomes for this transaction; False when another one has them."""
    taken: bool = await _sql.try_lock(session, tenant_id=tenant_id.value)
    return taken


async def add(
    session: Session, tenant_id: TenantId, parts: Mapping[RecordKey, TrackRecord], *, now: dt.datetime
) -> None:
    """Add to a tenant's records, in the transaction that settles the outcomes; see :func:`try_lock`."""
    if not parts:
        return
    keys = sorted(parts)
    await _sql.add(
        session,
        tenant_id=tenant_id.value,
        now=now,
        **{
            f"{name}s": [getattr(key, name) for key in keys]
            for name in ("agent", "symbol", "interval", "regime", "source")
        },
        **{name: [getattr(parts[key], name) for key in keys] for name in _SUMS},
    )


async def read(
    session: Session, tenant_id: TenantId, *, symbol: str | None = None
) -> dict[RecordKey, TrackRecord]:
    """Return the kept records of a tenant, of one symbol if it is named."""
    rows = _sql.kept(session, tenant_id=tenant_id.value, symbol=symbol)
    return {_key(row): _record(row) async for row in rows}


async def recompute(session: Session, tenant_id: TenantId) -> dict[RecordKey, TrackRecord]:
    """Return the records as the outcomes give them now."""
    rows = _sql.recomputed(session, tenant_id=tenant_id.value)
    return {_key(row): _record(row) async for row in rows}


async def rebuild(session: Session, tenant_id: TenantId, *, now: dt.datetime) -> bool:
    """Make a tenant's records anew from the outcomes; return whether they had been right."""
    await _sql.lock(session, tenant_id=tenant_id.value)
    kept, true = await read(session, tenant_id), await recompute(session, tenant_id)
    if kept == true:
        return True
    await _sql.clear(session, tenant_id=tenant_id.value)
    await add(session, tenant_id, true, now=now)
    return False


def _key(row: Any) -> RecordKey:
    return RecordKey(row["agent"], row["symbol"], row["interval"], row["regime"], row["source"])


def _record(row: Any) -> TrackRecord:
    return TrackRecord(**{name: row[name] for name in _SUMS})
