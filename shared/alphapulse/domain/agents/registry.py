"""Which agents there are; each is imported with its first use, because most processes need one of them.

An agent ``<name>`` is the module ``<name>`` with its ``DEFINITION``, and ``<name>_parameters``, which needs
no numpy, with its ``PARAMETERS``.
"""

from importlib import import_module
from typing import Final

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.parameters import Parameters

#: In order of falling default weight.
AGENT_NAMES: Final = ("technical", "fundamental", "sentiment", "value", "activist", "buffett")


def agent(name: str) -> AgentDefinition:
    """Return an agent by its name.

    Raises
    ------
    KeyError
        There is none of that name.
    """
    if name not in AGENT_NAMES:
        raise KeyError(name)
    definition: AgentDefinition = import_module(f"alphapulse.domain.agents.{name}").DEFINITION
    return definition


def parameters_of(name: str) -> type[Parameters]:
    """Return the settings of an agent without loading the agent.

    Raises
    ------
    KeyError
        There is none of that name.
    """
    if name not in AGENT_NAMES:
        raise KeyError(name)
    parameters: type[Parameters] = import_module(f"alphapulse.domain.agents.{name}_parameters").PARAMETERS
    return parameters
