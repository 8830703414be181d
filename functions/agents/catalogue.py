"""The agents there are, and how many of them a tier includes."""

from typing import Final, Literal

from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.domain.consensus import DEFAULT_WEIGHTS
from alphapulse.runtime.errors import QuotaExceeded
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tiers import LIMITS

AgentName = Literal["technical", "fundamental", "sentiment", "value", "activist", "buffett"]

#: In order of falling default weight.
CATALOGUE: Final[tuple[AgentName, ...]] = AGENT_NAMES

if set(CATALOGUE) != set(DEFAULT_WEIGHTS):
    raise RuntimeError("the catalogue of agents and their default weights differ")


class TooManyAgents(QuotaExceeded):
    """More agents than the tier includes."""

    def __init__(self, *, tier: Tier, value: int) -> None:
        limit = LIMITS[tier].agents
        super().__init__(
            f"the tier {tier} includes {limit} agents, {value} were asked for",
            extra={"limit": limit, "value": value, "upgrade_url": "/subscription/upgrade"},
        )


def require_within_tier(tier: Tier, agents: int) -> None:
    """Refuse more agents than a tier includes.

    Raises
    ------
    TooManyAgents
        Naming limit and value.
    """
    if agents > LIMITS[tier].agents:
        raise TooManyAgents(tier=tier, value=agents)
