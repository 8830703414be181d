"""Have an agent speak: the one way it is done, when a signal is made and when it is made again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.parameters import InvalidParameters, Parameters
from alphapulse.domain.signals import Abstention, AgentVoice, Signal


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
    """Return what an agent says of the evidence; it abstains when its settings are unusable.

    Parameters
    ----------
    definition : AgentDefinition
        The agent.
    evidence : Evidence
        All it may read.
    settings : mapping
        A tenant's own parameters, or all that were in force.
    """
    parameters = usable(definition, settings)
    if isinstance(parameters, InvalidParameters):
        voice = AgentVoice(definition.name, evidence.symbol, definition.version, evidence.now)
        return Spoken(voice.abstain(f"the agent's settings are unusable: {parameters}"), dict(settings), None)
    spoken = definition.speak(evidence, parameters)
    horizon = definition.horizon(parameters, evidence.interval) if isinstance(spoken, Signal) else None
    return Spoken(spoken, asdict(parameters), None if horizon is None else evidence.now + horizon)
