"""Have an agent speak: the one way it is done, when a signal is made and when it is made again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.parameters import InvalidParameters, Parameters
from alphapulse.domain.signals import Abstention, AgentVoice, Signal

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an agent said.

    Attributes
    ----------
    voice : Signal or Abstention
        What it said.
    parameters : mapping
        All that were in force, defaults included; as they are stored when they are unusable.
    horizon_at : datetime or None
        When the signal can be scored; None for an abstention.
    """

    voice: Signal | Abstention
    parameters: Mapping[str, Any]
    horizon_at: datetime | None


def usable(definition: AgentDefinition, settings: Mapping[str, Any]) -> Parameters | InvalidParameters:
    """Return an agent's parameters out of a tenant's settings, or why they cannot be used."""
    try:
        return definition.parameters.of(settings)
    except InvalidParameters as error:
        return error


def speak(definition: AgentDefinition, evidence: Evidence, settings: Mapping[str, Any]) -> Spoken:
    """Return what an agent says of the evidence; with unusable settings, or when it fails, it abstains.

    Parameters
    ----------
    definition : AgentDefinition
        The agent.
    evidence : Evidence
        All it may read.
    settings : mapping
        A tenant's own parameters, or all that were in force.
    """
    voice = AgentVoice(definition.name, evidence.symbol, definition.version, evidence.now)
    parameters = usable(definition, settings)
    if isinstance(parameters, InvalidParameters):
        return Spoken(voice.abstain(f"the agent's settings are unusable: {parameters}"), dict(settings), None)
    try:
        spoken = definition.speak(evidence, parameters)
    except Exception as error:
        # The same evidence would fail again, so that asking again is of no use.
        logger.exception("agent_failed", agent=definition.name, symbol=evidence.symbol)
        spoken = voice.abstain(f"the agent failed on this evidence ({type(error).__name__})")
    horizon = definition.horizon(parameters, evidence.interval) if isinstance(spoken, Signal) else None
    return Spoken(spoken, asdict(parameters), None if horizon is None else evidence.now + horizon)
