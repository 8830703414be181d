"""What agents said, and what they said together."""

from typing import Any

from alphapulse.agents.weighing import reasons_of
from alphapulse.runtime.http import Work, tenant_router
from functions.agents.catalogue import AgentName
from functions.agents.pages import Cursor, Limit, OfSymbol, Page
from functions.agents.schemas import (
    ConsensusPage,
    ConsensusView,
    Signals,
    SignalView,
)
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
