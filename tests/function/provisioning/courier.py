"""Deliver the saga's events to its functions as the triggers say: replies, retries, dead letters."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import httpx

from alphapulse.events import Event
from alphapulse.provisioning.steps import ASKED, Step
from tests.function.conftest import Functions

RETRIES = 8
_FIRST_WAIT_SECONDS = 0.02
_COMPENSATE = "provision_compensate"

BeforeAnswer = Callable[[str, Event, httpx.Response], Awaitable[None]]


class Killed(BaseException):
    """The process died in the middle of a request: no answer, and nothing of its own is done any more."""


class Courier:
    """The broker's part, with shorter waits: as many attempts, doubling from 20 ms.

    Attributes
    ----------
    parked
        Dead letters that could not be delivered either.
    copies
        How many deliveries of each event go out at once.
    """

    def __init__(self, functions: Functions, *, retries: int = RETRIES) -> None:
        self.functions = functions
        self.retries = retries
        self.parked: list[Event] = []
        self.delivered: list[tuple[str, Event, int | None]] = []
        self.copies = 1
        self.lose_answers = 0

    async def carry(self, event: Event | None) -> None:
        """Deliver an event and all that follow from it by reply, until none is left."""
        waiting = [event] if event is not None else []
        while waiting:
            step = ASKED.get(waiting[0].name)
            current = waiting.pop(0)
            if step is not None:
                waiting += await self._to_step(step, current)

    async def _to_step(self, step: Step, event: Event) -> list[Event]:
        replies = await asyncio.gather(*(self._one_copy(step, event) for _ in range(self.copies)))
        # Equal replies are one event; `copies` of it go out in turn.
        return list({reply.id: reply for reply in replies if reply is not None}.values())

    async def _one_copy(self, step: Step, event: Event) -> Event | None:
        function = f"provision_{step}"
        answer = await self._attempts(function, event)
        if answer is None or answer.status_code not in (200, 204):
            dead = {
                "knativeerrordest": f"http://{function}.test",
                "knativeerrorcode": "0" if answer is None else str(answer.status_code),
            }
            letter = dataclasses.replace(event, extensions={**event.extensions, **dead})
            buried = await self._attempts(_COMPENSATE, letter)
            if buried is None or buried.status_code != 204:
                self.parked.append(letter)
            return None
        return Event.from_http(answer.headers, answer.content) if answer.status_code == 200 else None

    async def _attempts(self, function: str, event: Event) -> httpx.Response | None:
        answer = None
        for attempt in range(self.retries + 1):
            answer = await self.deliver(function, event)
            if answer is not None and (answer.status_code < 300 or answer.status_code == 422):
                break
            await asyncio.sleep(_FIRST_WAIT_SECONDS * 2**attempt)
        return answer

    async def deliver(self, function: str, event: Event) -> httpx.Response | None:
        """Deliver once; None when there was no answer."""
        try:
            answer = await self.functions.deliver(function, event)
        except Killed:
            self.delivered.append((function, event, None))
            return None
        self.delivered.append((function, event, answer.status_code))
        if self.lose_answers and answer.status_code < 300:
            self.lose_answers -= 1
            return None
        return answer
