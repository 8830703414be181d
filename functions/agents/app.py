"""Routes of `agents` and their wiring."""

import uuid
from typing import Annotated

from fastapi import Query
from starlette.types import ASGIApp

from alphapulse.domain.instruments import SYMBOL_PATTERN
from alphapulse.runtime.http import Work, http_app, tenant_router
from alphapulse.runtime.resources import Resources
from alphapulse.tenancy.tiers import LIMITS
from functions.agents import auto_trading, configuration, history, runs
from functions.agents.catalogue import AgentName
from functions.agents.pages import Page
from functions.agents.schemas import (
    ConfigRequest,
    ConfigView,
    ConsensusPage,
    RunAccepted,
    RunRequest,
    Runs,
    RunView,
    Signals,
    StatusView,
)

tenant = tenant_router()

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=200)]
Symbol = Annotated[str | None, Query(pattern=SYMBOL_PATTERN)]


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    return http_app(resources, title="agents", routers=[tenant, auto_trading.router])


@tenant.post("/agents/run", status_code=202)
async def run(body: RunRequest, work: Work) -> RunAccepted:
    """Ask agents for signals on up to 20 symbols."""
    return await runs.start_run(work, body)


@tenant.get("/agents/runs")
async def list_runs(work: Work, limit: Limit = 50, cursor: Cursor = None) -> Runs:
    """List runs, newest first."""
    return await runs.run_page(work, Page.of(limit, cursor))


@tenant.get("/agents/runs/{run_id}")
async def get_run(run_id: uuid.UUID, work: Work) -> RunView:
    """Return how far a run is."""
    return await runs.run_view(work, run_id)


@tenant.get("/agents/signals")
async def signals(
    work: Work,
    symbol: Symbol = None,
    agent: AgentName | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Signals:
    """List signals and abstentions, newest first."""
    return await history.signal_page(work, Page.of(limit, cursor), symbol=symbol, agent=agent)


@tenant.get("/agents/consensus")
async def consensus(
    work: Work, symbol: Symbol = None, limit: Limit = 50, cursor: Cursor = None
) -> ConsensusPage:
    """List consensus signals, newest first."""
    return await history.consensus_page(work, Page.of(limit, cursor), symbol=symbol)


@tenant.get("/agents/config")
async def get_config(work: Work) -> ConfigView:
    """Return the settings of all agents, with the bounds of what may be set."""
    tier = work.principal.tier
    settings = await configuration.settings_in_force(work, tier)
    return ConfigView(
        agents=[configuration.view(own) for own in settings.values()], agents_limit=LIMITS[tier].agents
    )


@tenant.post("/agents/config")
async def change_config(body: ConfigRequest, work: Work) -> ConfigView:
    """Change settings of some agents, together or not at all; each change is a new version."""
    tier = work.principal.tier
    settings = await configuration.change(work, tier, body.agents)
    return ConfigView(
        agents=[configuration.view(own) for own in settings.values()], agents_limit=LIMITS[tier].agents
    )


@tenant.get("/agents/status")
async def status(work: Work) -> StatusView:
    """Return which agents can be asked, and when each spoke last."""
    return await history.status(work, work.principal.tier)
