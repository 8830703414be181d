"""What may be set of each agent: its declared parameters, and the length of bars if it reads any."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any, Final

from alphapulse.domain.agents.parameters import InvalidParameters, ParameterBound
from alphapulse.domain.agents.registry import parameters_of
from alphapulse.domain.instruments import Interval, InvalidInterval
from alphapulse.runtime.errors import Invalid
from functions.agents.catalogue import AgentName
from functions.agents.schemas import ParameterView
from functions.agents.settings import DEFAULT_INTERVAL

# A parameter's name ends in its unit; periods and windows are counted in bars.
_UNITS: Final[Mapping[str, str]] = {
    "seconds": "seconds",
    "hours": "hours",
    "days": "days",
    "years": "years",
    "bars": "bars",
    "period": "bars",
    "pct": "percent",
    "usd": "US dollars",
    "atr": "average true ranges",
}


class InvalidAgentParameters(Invalid):
    """A parameter is unknown or out of bounds."""

    code = "invalid_parameters"
    title = "Invalid parameters"


def reads_bars(agent: AgentName) -> bool:
    """Tell whether an agent looks at bars, so that their length is one of its settings."""
    return "horizon_bars" in parameters_of(agent).bounds()


def check_parameters(agent: AgentName, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that an agent cannot use.

    Raises
    ------
    InvalidAgentParameters
        Naming the parameter, what it may be, and what it was.
    """
    own = dict(parameters)
    try:
        if reads_bars(agent):
            interval = own.pop("interval", DEFAULT_INTERVAL.value)
            Interval.parse(interval if isinstance(interval, str) else repr(interval))
        parameters_of(agent).of(own)
    except (InvalidInterval, InvalidParameters) as error:
        raise InvalidAgentParameters(str(error)) from error


@cache
def defaults(agent: AgentName) -> Mapping[str, Any]:
    """Return the product's own parameters of an agent."""
    own = asdict(parameters_of(agent)())
    return {"interval": DEFAULT_INTERVAL.value, **own} if reads_bars(agent) else own


@cache
def bounds(agent: AgentName) -> Mapping[str, ParameterView]:
    """Return what each parameter of an agent means and may be."""
    declared = parameters_of(agent).bounds()
    own = {name: _view(name, bound, defaults(agent)[name]) for name, bound in declared.items()}
    return {"interval": _INTERVAL, **own} if reads_bars(agent) else own


def _view(name: str, bound: ParameterBound, default: float) -> ParameterView:
    return ParameterView(
        meaning=bound.meaning,
        unit=_UNITS.get(name.rpartition("_")[2]),
        default=default,
        least=bound.least,
        most=bound.most,
        whole=bound.whole,
    )


_INTERVAL: Final = ParameterView(
    meaning="length of a bar when a run names none",
    unit=None,
    default=DEFAULT_INTERVAL.value,
    choices=[interval.value for interval in Interval],
)
