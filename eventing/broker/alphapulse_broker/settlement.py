"""Decides what an answer means for an entry and makes that durable."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

import structlog

from alphapulse_broker.cloudevents import HOPS, Event, encode_value, take_hop
from alphapulse_broker.delivery import is_retryable, parse_retry_after
from alphapulse_broker.entries import EVENT, Entry, now_ms
from alphapulse_broker.errors import GroupMissing, InvalidEvent, LogUnavailable, NoTriggerTable
from alphapulse_broker.event_log import EventLog, Outcome
from alphapulse_broker.metrics import Metrics
from alphapulse_broker.sender import DETAIL_BYTES, Answer
from alphapulse_broker.table_agent import TableAgent
from alphapulse_broker.triggers import Trigger

Result = TypeVar("Result")

_LOGGER = structlog.get_logger("broker.dispatcher")

_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 0.25
# What a failed delivery without a status is reported as, the code Knative's dispatcher uses.
_NO_ANSWER_CODE = 500
_LOOP_CODE = 400
_FULL_CODE = 429


class Settlement:
    """Settles entries for one consumer. A step Redis did not confirm is repeated until it does.

    Each step is a script that a repetition cannot apply twice, so an unknown outcome is safe.
    """

    def __init__(self, log: EventLog, agent: TableAgent, metrics: Metrics, *, consumer: str) -> None:
        self._log = log
        self._agent = agent
        self._metrics = metrics
        self._consumer = consumer

    async def settle(self, trigger: Trigger, entry: Entry, *, sink: str, answer: Answer) -> None:
        """Complete, retry, dead-letter or park an entry according to its answer."""
        try:
            if not answer.is_success:
                await self._failed(trigger, entry, sink=sink, answer=answer)
            elif answer.reply is None or entry.kind != EVENT:
                outcome = await _insist(lambda: self._log.complete(trigger.name, entry.id))
                self._count_delivery(trigger, entry, outcome)
            else:
                await self._reply(trigger, entry, sink=sink, reply=answer.reply)
        except GroupMissing:
            _LOGGER.warning("entry_vanished", trigger=trigger.name, entry=entry.id.decode())

    async def park(
        self, trigger: Trigger, entry: Entry, *, reason: str, detail: str = "", status: int | None = None
    ) -> None:
        """Put an entry aside, with the status that the sink answered, if it did."""
        note = {"reason": reason, "detail": detail, "status": status, "at_ms": now_ms()}
        outcome = await _insist(
            lambda: self._log.park(trigger.name, entry, consumer=self._consumer, reason=note)
        )
        if outcome is Outcome.MOVED:
            self._metrics.parked.labels(trigger.name, reason).inc()
            _LOGGER.error("parked", **_about(trigger, entry), reason=reason)

    async def _reply(self, trigger: Trigger, entry: Entry, *, sink: str, reply: Event) -> None:
        # The hop count is the broker's; whatever the subscriber put there does not count.
        reply.attributes[HOPS] = entry.event.attributes[HOPS]
        try:
            take_hop(reply.attributes)
        except InvalidEvent as error:
            refused = Answer(_LOOP_CODE, str(error).encode())
            await self._failed(trigger, entry, sink=sink, answer=refused)
            return
        stored = Event(reply.attributes, reply.body, reply.trace or entry.event.trace)
        outcome, triggers = await self._store_reply(trigger, entry, stored)
        if outcome is Outcome.FULL:
            full = Answer(_FULL_CODE, b"the reply's stream is full")
            await self._failed(trigger, entry, sink=sink, answer=full)
            return
        self._count_delivery(trigger, entry, outcome)
        if outcome is Outcome.DONE:
            self._metrics.replies.labels(trigger.name).inc()
            for name in triggers:
                self._metrics.enqueued.labels(name).inc()

    async def _store_reply(self, trigger: Trigger, entry: Entry, reply: Event) -> tuple[Outcome, list[str]]:
        attributes = reply.for_filters()
        while True:
            table = self._agent.table
            triggers = table.matching(attributes)

            async def store(names: list[str] = triggers, revision: str = table.revision) -> Outcome:
                return await self._log.complete_with_reply(
                    trigger.name, entry.id, reply=reply, triggers=names, revision=revision
                )

            outcome = await _insist(store)
            if outcome is not Outcome.STALE:
                return outcome, triggers
            await _insist(self._agent.refresh)

    async def _failed(self, trigger: Trigger, entry: Entry, *, sink: str, answer: Answer) -> None:
        delivery = trigger.spec.delivery
        retryable = not answer.malformed and is_retryable(answer.status)
        if retryable and entry.attempt < delivery.retries:
            asked = parse_retry_after(answer.status, answer.retry_after, now=datetime.now(UTC))
            delay = delivery.backoff(entry.attempt + 1, asked)
            outcome = await _insist(
                lambda: self._log.retry(trigger.name, entry, consumer=self._consumer, delay=delay)
            )
            if outcome is Outcome.MOVED:
                self._metrics.retried.labels(trigger.name, entry.kind).inc()
                _LOGGER.info("retry", **_about(trigger, entry), status=answer.status, delay=str(delay))
        elif entry.kind == EVENT and delivery.deadLetterSink is not None:
            await self._dead_letter(trigger, entry, sink=sink, answer=answer)
        else:
            reason = "dead_letter_sink_failed" if entry.kind != EVENT else "no_dead_letter_sink"
            await self.park(trigger, entry, reason=reason, detail=_detail(answer), status=answer.status)

    async def _dead_letter(self, trigger: Trigger, entry: Entry, *, sink: str, answer: Answer) -> None:
        detail = answer.malformed.encode() or answer.detail
        error = {
            "knativeerrordest": encode_value(_without_credentials(sink)),
            "knativeerrorcode": str(answer.status or _NO_ANSWER_CODE),
            "knativeerrordata": base64.b64encode(detail[:DETAIL_BYTES]).decode(),
        }
        outcome = await _insist(
            lambda: self._log.dead_letter(trigger.name, entry, consumer=self._consumer, error=error)
        )
        if outcome is Outcome.MOVED:
            self._metrics.dead_lettered.labels(trigger.name).inc()
            _LOGGER.warning("dead_letter", **_about(trigger, entry), status=answer.status)

    def _count_delivery(self, trigger: Trigger, entry: Entry, outcome: Outcome) -> None:
        if outcome is Outcome.DONE:
            self._metrics.delivered.labels(trigger.name, entry.kind).inc()
            seconds = max(now_ms() - entry.accepted_ms, 0) / 1000
            self._metrics.end_to_end_seconds.labels(trigger.name).observe(seconds)


async def _insist(step: Callable[[], Awaitable[Result]]) -> Result:
    """Repeat a step until Redis answers."""
    wait = _FIRST_WAIT_SECONDS
    while True:
        try:
            return await step()
        except GroupMissing:
            raise
        except (LogUnavailable, NoTriggerTable):
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)


def _about(trigger: Trigger, entry: Entry) -> dict[str, object]:
    """Return what logs say of an entry: never its data."""
    attributes = entry.event.attributes
    return {
        "trigger": trigger.name,
        "event_id": attributes["id"],
        "event_type": attributes["type"],
        "kind": entry.kind,
        "attempt": entry.attempt,
    }


def _detail(answer: Answer) -> str:
    text = answer.malformed or answer.detail.decode(errors="replace")
    return f"status {answer.status}: {text}" if answer.status is not None else text


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
