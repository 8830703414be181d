"""Answer a request for the technical agent's signal."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.agents.parameters import InvalidParameters
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Abstention, AgentVoice, Signal, signal_document
from alphapulse.events import Event
from alphapulse.market.series import available_intervals, read_series
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.work import TenantWork

AGENT: Final = "technical"
SIGNAL_LIFETIME: Final = dt.timedelta(minutes=5)
_ENDED: Final = frozenset({"done", "abstained", "failed"})

logger: structlog.stdlib.BoundLogger = structlog.get_logger()

sql = queries.load(__file__)


class WrongAgent(Invalid):
    """The request is for another agent."""

    code = "wrong_agent"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: the run, the symbol, the length of its bars, and until when."""

    run_id: uuid.UUID
    symbol: str
    interval: Interval
    deadline_at: dt.datetime

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Request":
        """Read the checked data of `signal.requested`.

        Raises
        ------
        WrongAgent
            It was delivered to the wrong function.
        """
        if data["agent"] != AGENT:
            raise WrongAgent(f"this function is the agent {AGENT!r}, the request is for {data['agent']!r}")
        return cls(
            uuid.UUID(data["run_id"]),
            data["symbol"],
            Interval(data["interval"]),
            dt.datetime.fromisoformat(data["deadline_at"]),
        )

    def task_key(self, work: TenantWork) -> dict[str, Any]:
        """Return what identifies the task, and the signal, among a tenant's."""
        return {
            "tenant_id": work.tenant_id.value,
            "run_id": self.run_id,
            "agent": AGENT,
            "symbol": self.symbol,
        }


async def on_requested(event: Event, work: TenantWork) -> Event | None:
    """Compute the signal, store it, and reply with it; nothing if the run no longer waits for it."""
    request = Request.of(event.data)
    task = await sql.take(work.session, **request.task_key(work))
    if task["status"] in _ENDED or work.now >= request.deadline_at:
        # Asked twice, or too late: past its deadline a run has failed, also before the sweep has closed it.
        logger.info(
            "signal_not_wanted",
            run_id=str(request.run_id),
            symbol=request.symbol,
            status=task["status"],
        )
        return None
    spoken = await _speak(work, request, task["parameters"] or {})
    document = await _store(work, request, spoken)
    if document is None:
        return None
    _cache_after_commit(work, request.symbol, document)
    return work.scope.event(
        "signal.abstained" if isinstance(spoken, Abstention) else "signal.generated",
        document,
        correlation_id=str(request.run_id),
        agent=AGENT,
        symbol=request.symbol,
    )


async def _speak(work: TenantWork, request: Request, settings: Mapping[str, Any]) -> Signal | Abstention:
    # numpy takes longer to import than the rest of the function; an idle process does not pay for it.
    from alphapulse.domain.agents.evidence import Bars, Evidence  # noqa: PLC0415 - see above
    from alphapulse.domain.agents.technical import AGENT_VERSION, speak  # noqa: PLC0415 - see above
    from alphapulse.domain.series import price_series  # noqa: PLC0415 - see above

    now = work.now
    voice = AgentVoice(AGENT, request.symbol, AGENT_VERSION, now)
    parameters = _parameters(settings)
    if isinstance(parameters, InvalidParameters):
        return voice.abstain(f"the agent's settings are unusable: {parameters}")
    # One more than the window, in case the newest bar has not closed.
    series = await read_series(
        work.session,
        work.scope.market_cache,
        request.symbol,
        request.interval,
        limit=parameters.window + 1,
    )
    if series is None:
        return voice.abstain(await _nothing_to_read(work, request))
    bars = Bars(price_series(series.closed(now).candles), request.interval, series.source)
    return speak(Evidence(request.symbol, request.interval, now, bars=bars), parameters)


def _parameters(settings: Mapping[str, Any]) -> TechnicalParameters | InvalidParameters:
    try:
        return TechnicalParameters.of({name: settings[name] for name in settings.keys() - {"interval"}})
    except InvalidParameters as error:
        return error


async def _nothing_to_read(work: TenantWork, request: Request) -> str:
    available = await available_intervals(work.session, request.symbol)
    if not available:
        return f"there are no candles of {request.symbol}"
    return (
        f"there are no candles of {request.symbol} in {request.interval}; available: {', '.join(available)}"
    )


async def _store(work: TenantWork, request: Request, spoken: Signal | Abstention) -> dict[str, object] | None:
    """Store what was said and end the task; None when the agent has spoken in this run already."""
    signal_id, expires_at = uuid7(), spoken.generated_at + SIGNAL_LIFETIME
    document = dict(signal_document(spoken))
    reason = spoken.reason if isinstance(spoken, Abstention) else None
    stored = await sql.store(
        work.session,
        **request.task_key(work),
        id=signal_id,
        interval=request.interval.value,
        abstained=document["abstained"],
        abstain_reason=reason,
        signal=None if reason else document["signal"],
        score=document["score"],
        confidence=document["confidence"],
        reasons=[] if reason else document["reasons"],
        inputs=document["inputs"],
        agent_version=spoken.agent_version,
        created_at=spoken.generated_at,
        expires_at=expires_at,
        status="abstained" if reason else "done",
        finished_at=work.now,
    )
    if stored is None:
        return None
    return {
        "id": str(signal_id),
        "run_id": str(request.run_id),
        "interval": request.interval.value,
        **document,
        "created_at": _rfc3339(spoken.generated_at),
        "expires_at": _rfc3339(expires_at),
    }


def _cache_after_commit(work: TenantWork, symbol: str, document: dict[str, object]) -> None:
    async def put() -> None:
        ttl = SIGNAL_LIFETIME.total_seconds()
        await work.scope.cache.put("signal", AGENT, symbol, value=document, ttl_seconds=ttl)

    work.after_commit(put)


def _rfc3339(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
