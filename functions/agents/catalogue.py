"""The agents there are, and which of them can be asked."""

from typing import Final, Literal

from alphapulse.domain.consensus import DEFAULT_WEIGHTS
from alphapulse.runtime.errors import Invalid, QuotaExceeded
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tiers import LIMITS

AgentName = Literal["technical", "fundamental", "sentiment", "value", "activist", "buffett"]

#: In order of falling default weight.
CATALOGUE: Final[tuple[AgentName, ...]] = (
    "technical",
    "fundamental",
    "sentiment",
    "value",
    "activist",
    "buffett",
)
#: Agents whose function is deployed.
AVAILABLE: Final[frozenset[AgentName]] = frozenset({"technical"})

if set(CATALOGUE) != set(DEFAULT_WEIGHTS):
    raise RuntimeError("the catalogue of agents and their default weights differ")


class AgentUnavailable(Invalid):
    """An agent of the catalogue has no function yet."""

    code = "agent_unavailable"
    title = "Agent unavailable"

    def __init__(self, agents: list[AgentName]) -> None:
        names = ", ".join(agents)
        super().__init__(f"not available yet: {names}", extra={"agents": agents})


class TooManyAgents(QuotaExceeded):
    """More agents than the tier includes."""

    def __init__(self, *, tier: Tier, value: int) -> None:
        limit = LIMITS[tier].agents
        super().__init__(
            f"the tier {tier} includes {limit} agents, {value} were asked for",
            extra={"limit": limit, "value": value, "upgrade_url": "/subscription/upgrade"},
        )


def require_available(agents: list[AgentName]) -> None:
    """Refuse agents that cannot be asked.

    Raises
    ------
    AgentUnavailable
        Naming them.
    """
    missing = [agent for agent in agents if agent not in AVAILABLE]
    if missing:
        raise AgentUnavailable(missing)


def require_within_tier(tier: Tier, agents: int) -> None:
    """Refuse more agents than a tier includes.

    Raises
    ------
    TooManyAgents
        Naming limit and value.
    """
    if agents > LIMITS[tier].agents:
        raise TooManyAgents(tier=tier, value=agents)
