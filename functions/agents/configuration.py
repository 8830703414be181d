"""Changes of a tenant's settings of the agents: all or none, each a new version, each audited."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.domain.consensus import InvalidWeights, validate_weights
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.http import Work, tenant_router
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tiers import LIMITS
from functions.agents.catalogue import CATALOGUE, AgentName, require_within_tier
from functions.agents.parameters import bounds, check_parameters, defaults
from functions.agents.schemas import AgentChange, AgentConfigView, ConfigRequest, ConfigView
from functions.agents.settings import AgentSettings, settings_in_force
from functions.agents.statements import sql

router = tenant_router()


class InvalidAgentWeights(Invalid):
    """The weights together cannot be used."""

    code = "invalid_weights"
    title = "Invalid weights"


@router.get("/agents/config")
async def get_config(work: Work) -> ConfigView:
    """Return the settings of all agents, with the bounds of what may be set."""
    tier = work.principal.tier
    return _view(await settings_in_force(work, tier), tier)


@router.post("/agents/config")
async def change_config(body: ConfigRequest, work: Work) -> ConfigView:
    """Change settings of some agents, together or not at all; each change is a new version."""
    tier = work.principal.tier
    return _view(await change(work, tier, body.agents), tier)


async def change(
    work: TenantWork, tier: Tier, changes: Sequence[AgentChange]
) -> dict[AgentName, AgentSettings]:
    """Store new versions of settings, all or none, and return what is in force.

    Raises
    ------
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
            after[agent] = await _store(work, after[agent], before[agent])
    return after


def _changed(settings: AgentSettings, wanted: AgentChange) -> AgentSettings:
    if wanted.parameters is not None:
        check_parameters(wanted.agent, wanted.parameters)
        settings = replace(settings, parameters=wanted.parameters)
    if wanted.enabled is not None:
        settings = replace(settings, enabled=wanted.enabled)
    if wanted.weight is not None:
        settings = replace(settings, weight=wanted.weight)
    return settings


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


async def _store(work: TenantWork, settings: AgentSettings, before: AgentSettings) -> AgentSettings:
    stored = replace(settings, version=before.version + 1, updated_at=work.now)
    await sql.insert_config(
        work.session,
        tenant_id=work.tenant_id.value,
        id=uuid7(),
        agent=stored.agent,
        version=stored.version,
        enabled=stored.enabled,
        weight=stored.weight,
        parameters=dict(stored.parameters),
        created_by=work.principal.user_id,
        created_at=stored.updated_at,
    )
    await work.audit(
        "agents.config_changed",
        resource_type="agent_config",
        resource_id=stored.agent,
        details={"version": stored.version, "before": _audited(before), "after": _audited(stored)},
    )
    return stored


def _audited(settings: AgentSettings) -> dict[str, Any]:
    return {
        "enabled": settings.enabled,
        "weight": str(settings.effective_weight),
        "parameters": dict(settings.parameters),
    }


def _view(settings: Mapping[AgentName, AgentSettings], tier: Tier) -> ConfigView:
    return ConfigView(
        agents=[
            AgentConfigView(
                agent=own.agent,
                enabled=own.enabled,
                weight=float(own.effective_weight),
                parameters={**defaults(own.agent), **own.parameters},
                bounds=dict(bounds(own.agent)),
                version=own.version,
                updated_at=own.updated_at,
            )
            for own in settings.values()
        ],
        agents_limit=LIMITS[tier].agents,
    )
