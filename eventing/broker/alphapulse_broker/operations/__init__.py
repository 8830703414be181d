"""What an operator may ask of a broker and do to it. Nothing here prints; all results are data.

Each function takes the broker's `EventLog` and raises LogUnavailable when Redis does not answer,
NoTriggerTable when no table has been published, and UnknownTrigger for a name the broker has never met.
"""

from alphapulse_broker.operations.dead_letters import (
    DeadLetter,
    Page,
    ParkedEvent,
    Selection,
    dead_letters,
    show,
)
from alphapulse_broker.operations.draining import DrainResult, drain
from alphapulse_broker.operations.replaying import ReplayResult, replay
from alphapulse_broker.operations.state import (
    BrokerStatus,
    ProcessStatus,
    RedisStatus,
    TriggerDescription,
    TriggerLag,
    lag,
    status,
    triggers,
)
from alphapulse_broker.operations.trimming import TrimResult, trim

__all__ = [
    "BrokerStatus",
    "DeadLetter",
    "DrainResult",
    "Page",
    "ParkedEvent",
    "ProcessStatus",
    "RedisStatus",
    "ReplayResult",
    "Selection",
    "TriggerDescription",
    "TriggerLag",
    "TrimResult",
    "dead_letters",
    "drain",
    "lag",
    "replay",
    "show",
    "status",
    "triggers",
    "trim",
]
