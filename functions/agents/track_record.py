"""How good the agents have been: their sums, and each outcome they are made of."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from alphapulse.agents import track_records
from alphapulse.agents.track_records import RecordKey
from alphapulse.data import queries
from alphapulse.domain.money import decimal_text
from alphapulse.domain.track_record import TrackRecord
from alphapulse.runtime.http import Work, tenant_router
from functions.agents.catalogue import AgentName
from functions.agents.pages import Cursor, Limit, OfSymbol, Page
from functions.agents.settings import AgentSettings, settings_in_force
from functions.agents.track_record_schemas import (
    AgentStatusView,
    Outcomes,
    OutcomeStatus,
    OutcomeView,
    RegimeRecordView,
    SourceRecordView,
    StatusView,
    SymbolRecordView,
    TrackRecordView,
)

_MOST_SYMBOLS: Final = 50
_AVERAGES: Final = (
    "hit_rate",
    "average_forward_return",
    "average_directed_return",
    "average_confidence",
    "brier",
)
_AMOUNTS: Final = ("signal_price", "horizon_price", "forward_return", "hold_band", "brier")

router = tenant_router()
sql = queries.load(__file__, "track_record.sql")


@router.get("/agents/status")
async def status(work: Work, symbol: OfSymbol = None) -> StatusView:
    """Return which agents a run asks unless told, when each spoke last, and how good it was."""
    tenant_id = work.tenant_id.value
    settings = await settings_in_force(work, work.principal.tier)
    last = {row["agent"]: row async for row in sql.last_signals(work.session, tenant_id=tenant_id)}
    kept = await track_records.read(work.session, work.tenant_id, symbol=symbol)
    waiting = Counter(
        {
            (row["agent"], row["symbol"]): row["pending"]
            async for row in sql.pending(work.session, tenant_id=tenant_id, symbol=symbol)
        }
    )
    return StatusView(
        agents=[
            _status(own, last.get(agent), _track_record(agent, kept, waiting))
            for agent, own in settings.items()
        ]
    )


@router.get("/agents/outcomes")
async def outcomes(
    work: Work,
    *,
    agent: AgentName | None = None,
    symbol: OfSymbol = None,
    status: OutcomeStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Outcomes:
    """List what became of signals, newest first: those that are settled, unless `status` asks for others."""
    page = Page.of(limit, cursor)
    found = sql.outcomes(
        work.session,
        tenant_id=work.tenant_id.value,
        agent=agent,
        symbol=symbol,
        status=status,
        **page.arguments,
    )
    rows, next_cursor = page.cut([row async for row in found])
    return Outcomes(items=[_outcome(row) for row in rows], next_cursor=next_cursor)


def _status(settings: AgentSettings, last: Any, track_record: TrackRecordView) -> AgentStatusView:
    return AgentStatusView(
        agent=settings.agent,
        enabled=settings.enabled,
        version=last["agent_version"] if last else None,
        last_signal_at=last["created_at"] if last else None,
        last_symbol=last["symbol"] if last else None,
        last_abstained=last["abstained"] if last else None,
        track_record=track_record,
    )


def _track_record(
    agent: str, kept: Mapping[RecordKey, TrackRecord], waiting: Counter[tuple[str, str]]
) -> TrackRecordView:
    by_symbol: dict[str, list[TrackRecord]] = {symbol: [] for name, symbol in waiting if name == agent}
    by_regime: dict[str, list[TrackRecord]] = {}
    by_source: dict[str, list[TrackRecord]] = {}
    for key, record in kept.items():
        if key.agent == agent:
            by_symbol.setdefault(key.symbol, []).append(record)
            by_regime.setdefault(key.regime, []).append(record)
            by_source.setdefault(key.source, []).append(record)
    symbols = [
        SymbolRecordView(
            symbol=symbol, pending=waiting[agent, symbol], **_figures(TrackRecord.total(records))
        )
        for symbol, records in by_symbol.items()
    ]
    symbols.sort(key=lambda one: (-one.scored - one.unscorable - one.pending, one.symbol))
    return TrackRecordView(
        pending=sum(one.pending for one in symbols),
        by_symbol=symbols[:_MOST_SYMBOLS],
        by_regime=[
            RegimeRecordView(regime=regime, **_figures(TrackRecord.total(records)))
            for regime, records in sorted(by_regime.items())
        ],
        by_source=[
            SourceRecordView(source=source, **_figures(TrackRecord.total(records)))
            for source, records in sorted(by_source.items())
        ],
        **_figures(TrackRecord.total(record for records in by_symbol.values() for record in records)),
    )


def _figures(record: TrackRecord) -> dict[str, Any]:
    averages = {name: getattr(record, name) for name in _AVERAGES}
    return {
        "scored": record.scored,
        "unscorable": record.unscorable,
        **{name: None if value is None else float(value) for name, value in averages.items()},
    }


def _outcome(row: Any) -> OutcomeView:
    amounts = {name: None if row[name] is None else decimal_text(row[name]) for name in _AMOUNTS}
    return OutcomeView(**(dict(row) | amounts))
