"""What agents said, and what they said together."""

from typing import Any

from alphapulse.agents.weighing import reasons_of
from alphapulse.runtime.http import Work, tenant_router
from functions.agents.catalogue import CATALOGUE, AgentName
from functions.agents.pages import Cursor, Limit, OfSymbol, Page
from functions.agents.schemas import (
    AgentStatusView,
    ConsensusPage,
    ConsensusView,
    Signals,
    SignalView,
    StatusView,
)
from functions.agents.settings import AgentSettings, settings_in_force
from functions.agents.statements import sql

router = tenant_router()


@router.get("/agents/signals")
async def signals(
    work: Work,
    symbol: OfSymbol = None,
    agent: AgentName | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Signals:
    """List signals and abstentions, newest first."""
    page = Page.of(limit, cursor)
    found = sql.signals(
        work.session, tenant_id=work.tenant_id.value, symbol=symbol, agent=agent, **page.arguments
    )
    rows, next_cursor = page.cut([row async for row in found])
    return Signals(items=[_signal(row) for row in rows], next_cursor=next_cursor)


@router.get("/agents/consensus")
async def consensus(
    work: Work, symbol: OfSymbol = None, limit: Limit = 50, cursor: Cursor = None
) -> ConsensusPage:
    """List consensus signals, newest first."""
    page = Page.of(limit, cursor)
    found = sql.consensus(work.session, tenant_id=work.tenant_id.value, symbol=symbol, **page.arguments)
    rows, next_cursor = page.cut([row async for row in found])
    return ConsensusPage(items=[_consensus(row) for row in rows], next_cursor=next_cursor)


@router.get("/agents/status")
async def status(work: Work) -> StatusView:
    """Return which agents a run asks unless told, and when each spoke last."""
    settings = await settings_in_force(work, work.principal.tier)
    found = sql.last_signals(work.session, tenant_id=work.tenant_id.value, agents=list(CATALOGUE))
    last = {row["agent"]: row async for row in found}
    return StatusView(agents=[_status(own, last.get(agent)) for agent, own in settings.items()])


def _signal(row: Any) -> SignalView:
    abstained = row["abstained"]
    return SignalView(
        id=row["id"],
        run_id=row["run_id"],
        agent=row["agent"],
        symbol=row["symbol"],
        interval=row["interval"],
        signal="hold" if abstained else row["signal"],
        score=row["score"],
        confidence=row["confidence"],
        reasons=[row["abstain_reason"]] if abstained else row["reasons"],
        inputs=row["inputs"],
        abstained=abstained,
        agent_version=row["agent_version"],
        config_version=row["config_version"],
        evidence_digest=row["evidence_digest"] and row["evidence_digest"].hex(),
        horizon_at=row["horizon_at"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def _consensus(row: Any) -> ConsensusView:
    return ConsensusView(
        id=row["id"],
        run_id=row["run_id"],
        symbol=row["symbol"],
        signal=row["signal"],
        score=float(row["score"]),
        quorum=row["quorum"],
        reasons=reasons_of(row["reason"], (row["inputs"] or {}).get("silent", ())),
        contributions=row["contributions"],
        inputs=row["inputs"],
        created_at=row["created_at"],
    )


def _status(settings: AgentSettings, last: Any) -> AgentStatusView:
    return AgentStatusView(
        agent=settings.agent,
        enabled=settings.enabled,
        version=last["agent_version"] if last else None,
        last_signal_at=last["created_at"] if last else None,
        last_symbol=last["symbol"] if last else None,
        last_abstained=last["abstained"] if last else None,
    )
