"""A tenant's settings of the agents: what is in force, and changes of it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.domain.agents.parameters import InvalidParameters
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.consensus import DEFAULT_WEIGHTS, InvalidWeights, validate_weights
from alphapulse.domain.instruments import Interval, InvalidInterval
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tiers import LIMITS
from functions.agents.catalogue import (
    AVAILABLE,
    CATALOGUE,
    AgentName,
    require_available,
    require_within_tier,
)
from functions.agents.schemas import AgentChange, AgentConfigView, ParameterView
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


class InvalidAgentParameters(Invalid):
    """A parameter is unknown or out of bounds."""

    code = "invalid_parameters"
    title = "Invalid parameters"


class InvalidAgentWeights(Invalid):
    """The weights together cannot be used."""

    code = "invalid_weights"
    title = "Invalid weights"


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
    return [agent for agent, own in settings.items() if own.enabled and agent in AVAILABLE]


def default_interval(settings: Mapping[AgentName, AgentSettings]) -> Interval:
    """Return the length of bars when a run names none."""
    return Interval(settings["technical"].parameters.get("interval", DEFAULT_INTERVAL))


async def change(
    work: TenantWork, tier: Tier, changes: Sequence[AgentChange]
) -> dict[AgentName, AgentSettings]:
    """Store new versions of settings, all or none, and return what is in force.

    Raises
    ------
    AgentUnavailable
        Parameters are given for an agent that has none yet.
    InvalidAgentParameters, InvalidAgentWeights
        As the domain says.
    TooManyAgents
        More would be enabled than the tier includes.
    """
    await sql.lock_configs(work.session, tenant_id=work.tenant_id.value)
    before = await settings_in_force(work, tier)
    after = dict(before)
    for wanted in changes:
        after[wanted.agent] = _changed(after[wanted.agent], wanted)
    _check(after, before, tier)
    for agent in CATALOGUE:
        if after[agent] != before[agent]:
            after[agent] = await _store(work, after[agent], version=before[agent].version + 1)
    return after


def view(settings: AgentSettings) -> AgentConfigView:
    """Return the settings as an answer, with defaults filled in and the bounds of what may be set."""
    technical = settings.agent == "technical"
    return AgentConfigView(
        agent=settings.agent,
        available=settings.agent in AVAILABLE,
        enabled=settings.enabled,
        weight=float(settings.effective_weight),
        parameters=_DEFAULTS | dict(settings.parameters) if technical else dict(settings.parameters),
        bounds=_BOUNDS if technical else {},
        version=settings.version,
        updated_at=settings.updated_at,
    )


def _settings(agent: AgentName, row: Any) -> AgentSettings:
    return AgentSettings(
        agent,
        enabled=row["enabled"],
        weight=row["weight"],
        parameters=row["parameters"],
        version=row["version"],
        updated_at=row["created_at"],
    )


def _changed(settings: AgentSettings, wanted: AgentChange) -> AgentSettings:
    if wanted.parameters is not None:
        _check_parameters(wanted.agent, wanted.parameters)
        settings = replace(settings, parameters=wanted.parameters)
    if wanted.enabled is not None:
        settings = replace(settings, enabled=wanted.enabled)
    if wanted.weight is not None:
        settings = replace(settings, weight=wanted.weight)
    return settings


def _check_parameters(agent: AgentName, parameters: Mapping[str, Any]) -> None:
    require_available([agent])
    own = dict(parameters)
    interval = own.pop("interval", DEFAULT_INTERVAL.value)
    try:
        Interval.parse(interval if isinstance(interval, str) else repr(interval))
        TechnicalParameters.of(own)
    except (InvalidInterval, InvalidParameters) as error:
        raise InvalidAgentParameters(str(error)) from error


def _check(
    after: Mapping[AgentName, AgentSettings], before: Mapping[AgentName, AgentSettings], tier: Tier
) -> None:
    try:
        validate_weights({agent: settings.effective_weight for agent, settings in after.items()})
    except InvalidWeights as error:
        raise InvalidAgentWeights(str(error)) from error
    enabled = sum(settings.enabled for settings in after.values())
    if enabled > sum(settings.enabled for settings in before.values()):
        # Checked when the number grows only: after a downgrade one must be able to disable step by step.
        require_within_tier(tier, enabled)


async def _store(work: TenantWork, settings: AgentSettings, *, version: int) -> AgentSettings:
    now = work.now
    await sql.insert_config(
        work.session,
        tenant_id=work.tenant_id.value,
        id=uuid7(),
        agent=settings.agent,
        version=version,
        enabled=settings.enabled,
        weight=settings.weight,
        parameters=dict(settings.parameters),
        created_by=work.principal.user_id,
        created_at=now,
    )
    return replace(settings, version=version, updated_at=now)


_DEFAULTS: dict[str, Any] = {"interval": DEFAULT_INTERVAL.value, **asdict(TechnicalParameters())}
_BOUNDS = {
    "interval": ParameterView(
        meaning="length of a bar when a run names none",
        default=DEFAULT_INTERVAL.value,
        choices=[interval.value for interval in Interval],
    )
} | {
    name: ParameterView(meaning=bound.meaning, default=_DEFAULTS[name], least=bound.least, most=bound.most)
    for name, bound in TechnicalParameters.bounds().items()
}
