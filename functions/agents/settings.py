"""A tenant's settings of the agents that are in force."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alphapulse.domain.consensus import DEFAULT_WEIGHTS
from alphapulse.domain.instruments import Interval
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tiers import LIMITS
from functions.agents.catalogue import CATALOGUE, AgentName
from functions.agents.statements import sql

DEFAULT_INTERVAL = Interval.DAY


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Settings of one agent in force.

    Attributes
    ----------
    agent : str
        Which one.
    enabled : bool
        Asked when a run names no agents.
    weight : Decimal or None
        The tenant's own; None for the product's default.
    parameters : mapping
        The tenant's own; what is missing has its default.
    version : int
        0 for the product's own settings.
    updated_at : datetime or None
        When the version was made.
    """

    agent: AgentName
    enabled: bool
    weight: Decimal | None
    parameters: Mapping[str, Any]
    version: int
    updated_at: dt.datetime | None

    @property
    def effective_weight(self) -> Decimal:
        """The weight in the consensus."""
        return DEFAULT_WEIGHTS[self.agent] if self.weight is None else self.weight


async def settings_in_force(work: TenantWork, tier: Tier) -> dict[AgentName, AgentSettings]:
    """Return the settings of all agents, in order of the catalogue.

    Until a tenant says otherwise, as many agents are enabled as the tier includes, heaviest first.
    """
    rows = {row["agent"]: row async for row in sql.configs(work.session, tenant_id=work.tenant_id.value)}
    included = CATALOGUE[: LIMITS[tier].agents]
    return {
        agent: _settings(agent, rows[agent])
        if agent in rows
        else AgentSettings(agent, agent in included, None, {}, version=0, updated_at=None)
        for agent in CATALOGUE
    }


def enabled_agents(settings: Mapping[AgentName, AgentSettings]) -> list[AgentName]:
    """Return the agents a run asks when it names none."""
    return [agent for agent, own in settings.items() if own.enabled]


def default_interval(settings: Mapping[AgentName, AgentSettings]) -> Interval:
    """Return the length of bars when a run names none."""
    return Interval(settings["technical"].parameters.get("interval", DEFAULT_INTERVAL))


def _settings(agent: AgentName, row: Any) -> AgentSettings:
    return AgentSettings(
        agent,
        enabled=row["enabled"],
        weight=row["weight"],
        parameters=row["parameters"],
        version=row["version"],
        updated_at=row["created_at"],
    )
