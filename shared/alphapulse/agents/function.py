"""The functions of the agents: each is this, with another name.

A request is answered in steps. A short transaction starts the run's task and reads the settings; evidence is
gathered, and the agent speaks, with no transaction open; a last one ends the task and stores together signal,
evidence, processed mark and reply. A process that dies in between leaves a task that is running, and the
redelivery takes it up again.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.types import ASGIApp
from uuid_utils.compat import uuid7

from alphapulse.data import processed, queries
from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Abstention, signal_document
from alphapulse.events import Event
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.events import EventHandlers, event_app, handle_once
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope, TenantWork

if TYPE_CHECKING:
    from alphapulse.agents.gathering import Gatherer
    from alphapulse.agents.snapshots import Snapshot, SnapshotMaker
    from alphapulse.agents.speaking import Spoken

SIGNAL_LIFETIME: Final = dt.timedelta(minutes=5)
_ENDED: Final = frozenset({"done", "abstained", "failed"})

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

_sql = queries.load(__file__, "function.sql")


class WrongAgent(Invalid):
    """The request is for another agent."""

    code = "wrong_agent"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the run, the agent, the symbol, the length of its bars, and until when."""

    run_id: uuid.UUID
    agent: str
    symbol: str
    interval: Interval
    deadline_at: dt.datetime

    @classmethod
    def of(cls, data: Mapping[str, Any], *, agent: str) -> "Request":
        """Read the checked data of `signal.requested`.

        Raises
        ------
        WrongAgent
            It was delivered to the function of another agent.
        """
        if data["agent"] != agent:
            raise WrongAgent(f"this function is the agent {agent!r}, the request is for {data['agent']!r}")
        return cls(
            uuid.UUID(data["run_id"]),
            agent,
            data["symbol"],
            Interval(data["interval"]),
            dt.datetime.fromisoformat(data["deadline_at"]),
        )

    def task_key(self, work: TenantWork) -> dict[str, Any]:
        """Return what identifies the task, and the signal, among a tenant's."""
        return {
            "tenant_id": work.tenant_id.value,
            "run_id": self.run_id,
            "agent": self.agent,
            "symbol": self.symbol,
        }


@dataclass(frozen=True, slots=True)
class Settings:
    """A tenant's own settings of the agent: their version, 0 for none, and parameters."""

    version: int
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _NotWanted:
    """The task has ended, or it is too late; the reply, if this very event was answered before."""

    reply: Event | None


def agent_app(resources: Resources, name: str) -> ASGIApp:
    """Build the app of an agent's function.

    Parameters
    ----------
    resources : Resources
        What the process reaches.
    name : str
        One of :data:`AGENT_NAMES`.

    Raises
    ------
    KeyError
        There is no such agent.
    """
    if name not in AGENT_NAMES:
        raise KeyError(name)
    function = AgentFunction(name)
    return event_app(
        resources,
        EventHandlers(consumer=function.consumer, stepped={"signal.requested": function.on_requested}),
    )


@dataclass(frozen=True, slots=True)
class _Memory:
    """What a process remembers from one request to the next, made with the first."""

    gatherer: "Gatherer"
    snapshots: "SnapshotMaker"


class AgentFunction:
    """Answers requests for one agent's signals."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.consumer = f"signal-{name}"
        self._memory: _Memory | None = None

    async def on_requested(self, event: Event, scope: Scope) -> Event | None:
        """Reply with a signal or an abstention; nothing if the run no longer waits for it."""
        request = Request.of(event.data, agent=self.name)
        begun = await self._begin(event, scope, request)
        if isinstance(begun, _NotWanted):
            return begun.reply
        spoken, snapshot = await self._speak(scope, request, begun)

        async def conclude(_event: Event, work: TenantWork) -> Event | None:
            return await _conclude(work, request, begun, spoken, snapshot)

        return await handle_once(event, scope, self.consumer, conclude)

    async def _begin(self, event: Event, scope: Scope, request: Request) -> Settings | _NotWanted:
        async with scope.transaction() as work:
            row = await _sql.begin(
                work.session, **request.task_key(work), now=work.now, deadline_at=request.deadline_at
            )
            if row["status"] in _ENDED or work.now >= request.deadline_at:
                _log_not_wanted(request, status=row["status"])
                return _NotWanted(await processed.reply_to(work.session, self.consumer, event))
        own = row["parameters"] or {}
        # The length of bars is the run's: a setting only says what a run asks for when it names none.
        return Settings(row["version"] or 0, {name: own[name] for name in own.keys() - {"interval"}})

    async def _speak(self, scope: Scope, request: Request, settings: Settings) -> "tuple[Spoken, Snapshot]":
        # numpy takes longer to import than the rest of the function; an idle process does not pay for it.
        from alphapulse.agents.gathering import Gatherer, Wanted  # noqa: PLC0415 - see above
        from alphapulse.agents.snapshots import SnapshotMaker  # noqa: PLC0415 - see above
        from alphapulse.agents.speaking import speak, usable  # noqa: PLC0415 - see above
        from alphapulse.domain.agents.evidence import Evidence  # noqa: PLC0415 - see above
        from alphapulse.domain.agents.parameters import InvalidParameters  # noqa: PLC0415 - see above
        from alphapulse.domain.agents.registry import agent  # noqa: PLC0415 - see above

        if self._memory is None:
            self._memory = _Memory(Gatherer(), SnapshotMaker())
        definition = agent(self.name)
        parameters = usable(definition, settings.parameters)
        if isinstance(parameters, InvalidParameters):
            evidence = Evidence(request.symbol, request.interval, scope.now)
        else:
            evidence = await self._memory.gatherer.gather(
                scope,
                Wanted(
                    definition=definition,
                    parameters=parameters,
                    symbol=request.symbol,
                    interval=request.interval,
                    deadline_at=request.deadline_at,
                ),
            )
        return speak(definition, evidence, settings.parameters), self._memory.snapshots.snapshot(evidence)


async def _conclude(
    work: TenantWork, request: Request, settings: Settings, spoken: "Spoken", snapshot: "Snapshot"
) -> Event | None:
    """Store what was said and end the task; nothing when the run waits for it no longer."""
    from alphapulse.agents.snapshots import keep  # noqa: PLC0415 - numpy, as above

    if work.now >= request.deadline_at:
        # From this moment the run is told to have failed, also before the sweep has closed it.
        _log_not_wanted(request, status="running")
        return None
    signal_id = uuid7()
    row = _signal_row(request, settings, spoken)
    stored = await _sql.store(
        work.session,
        **request.task_key(work),
        **row,
        id=signal_id,
        evidence_digest=snapshot.digest,
        finished_at=work.now,
    )
    if stored is None:
        _log_not_wanted(request, status="ended")
        return None
    await keep(work.session, [snapshot])
    document = _document(request, spoken, signal_id)
    _cache_after_commit(work, request, document)
    return work.scope.event(
        "signal.abstained" if row["abstained"] else "signal.generated",
        document,
        correlation_id=str(request.run_id),
        agent=request.agent,
        symbol=request.symbol,
    )


def _signal_row(request: Request, settings: Settings, spoken: "Spoken") -> dict[str, Any]:
    voice = spoken.voice
    said = signal_document(voice)
    abstained = isinstance(voice, Abstention)
    return {
        "interval": request.interval.value,
        "abstained": abstained,
        "abstain_reason": voice.reason if isinstance(voice, Abstention) else None,
        "signal": None if abstained else said["signal"],
        "score": said["score"],
        "confidence": said["confidence"],
        "reasons": [] if abstained else said["reasons"],
        "inputs": said["inputs"],
        "agent_version": voice.agent_version,
        "config_version": settings.version,
        "parameters": dict(spoken.parameters),
        "horizon_at": spoken.horizon_at,
        "created_at": voice.generated_at,
        "expires_at": voice.generated_at + SIGNAL_LIFETIME,
        "status": "abstained" if abstained else "done",
    }


def _document(request: Request, spoken: "Spoken", signal_id: uuid.UUID) -> dict[str, object]:
    voice = spoken.voice
    return {
        "id": str(signal_id),
        "run_id": str(request.run_id),
        "interval": request.interval.value,
        **signal_document(voice),
        "created_at": _rfc3339(voice.generated_at),
        "expires_at": _rfc3339(voice.generated_at + SIGNAL_LIFETIME),
    }


def _cache_after_commit(work: TenantWork, request: Request, document: dict[str, object]) -> None:
    async def put() -> None:
        cache, key = work.scope.cache, ("signal", request.agent, request.symbol)
        cached = await cache.get(*key)
        # Of two runs at once the one that ends later need not be the newer.
        if cached is None or _spoken_at(cached) <= _spoken_at(document):
            await cache.put(*key, value=document, ttl_seconds=SIGNAL_LIFETIME.total_seconds())

    work.after_commit(put)


def _spoken_at(document: Mapping[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(document["created_at"])


def _log_not_wanted(request: Request, *, status: str | None) -> None:
    # Asked twice, or too late.
    logger.info("signal_not_wanted", run_id=str(request.run_id), symbol=request.symbol, status=status)


def _rfc3339(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
