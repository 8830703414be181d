"""What an agent is: its name, version, settings, the data it reads, and how it speaks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from alphapulse.domain.agents.parameters import Parameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Abstention, Signal

if TYPE_CHECKING:
    from alphapulse.domain.agents.evidence import Dataset, Evidence


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """One agent.

    Attributes
    ----------
    name : str
        As in the consensus.
    version : str
        Of the code; rises whenever the same evidence may give another signal.
    parameters : type of Parameters
        Its settings, all with defaults.
    reads : frozenset of Dataset
        What has to be gathered for it.
    speak : callable
        ``(evidence, parameters) -> Signal or Abstention``; pure, and total: it abstains, it never raises.
    bars : callable
        ``parameters -> int``: how many of the newest closed bars it reads; 0 when it reads none.
    horizon : callable
        ``(parameters, interval) -> timedelta``: how far ahead a signal looks, after which it is scored.
    """

    name: str
    version: str
    parameters: type[Parameters]
    reads: "frozenset[Dataset]"
    speak: "Callable[[Evidence, Any], Signal | Abstention]"
    bars: Callable[[Any], int]
    horizon: Callable[[Any, Interval], timedelta]
