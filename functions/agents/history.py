"""What agents said, and what they said together."""

from typing import Any

from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.principal import Tier
from functions.agents.catalogue import AVAILABLE, AgentName
from functions.agents.configuration import AgentSettings, settings_in_force
from functions.agents.pages import Page
from functions.agents.schemas import (
    AgentStatusView,
    ConsensusPage,
    ConsensusView,
    Signals,
    SignalView,
    StatusView,
)
from functions.agents.statements import sql


async def signal_page(
    work: TenantWork, page: Page, *, symbol: str | None, agent: AgentName | None
) -> Signals:
    """Return signals and abstentions, newest first."""
    found = sql.signals(
        work.session, tenant_id=work.tenant_id.value, symbol=symbol, agent=agent, **page.arguments
    )
    rows, cursor = page.cut([row async for row in found])
    return Signals(items=[_signal(row) for row in rows], next_cursor=cursor)


async def consensus_page(work: TenantWork, page: Page, *, symbol: str | None) -> ConsensusPage:
    """Return consensus signals, newest first."""
    found = sql.consensus(work.session, tenant_id=work.tenant_id.value, symbol=symbol, **page.arguments)
    rows, cursor = page.cut([row async for row in found])
    return ConsensusPage(items=[_consensus(row) for row in rows], next_cursor=cursor)


async def status(work: TenantWork, tier: Tier) -> StatusView:
    """Return whether each agent can be asked, and when it spoke last."""
    settings = await settings_in_force(work, tier)
    found = sql.last_signals(work.session, tenant_id=work.tenant_id.value, agents=sorted(AVAILABLE))
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
        reasons=[row["reason"]] if row["reason"] else [],
        contributions=row["contributions"],
        created_at=row["created_at"],
    )


def _status(settings: AgentSettings, last: Any) -> AgentStatusView:
    return AgentStatusView(
        agent=settings.agent,
        available=settings.agent in AVAILABLE,
        enabled=settings.enabled,
        version=last["agent_version"] if last else None,
        last_signal_at=last["created_at"] if last else None,
        last_symbol=last["symbol"] if last else None,
        last_abstained=last["abstained"] if last else None,
    )
