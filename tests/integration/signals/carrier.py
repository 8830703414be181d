"""Carries events between functions in process, as the broker would."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import httpx

from alphapulse.events import Event
from alphapulse_broker.triggers import TriggerTable, load
from tests.function.conftest import Functions

_TRIGGERS = Path(__file__).parents[3] / "eventing" / "triggers"


class Carrier:
    """Delivers events as the broker would, each as often as asked and in any order."""

    def __init__(self, functions: Functions, *, seed: int, copies: int = 1) -> None:
        self.functions = functions
        self.table: TriggerTable = load(_TRIGGERS)
        self.random = random.Random(seed)
        self.copies = copies
        self.replies: list[Event] = []
        # As many at once as the manifests let one process have.
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(20))

    async def carry(self, events: Iterable[Event]) -> None:
        """Deliver events, then what was replied to them, until nothing is left."""
        waiting = list(events)
        while waiting:
            deliveries = [(function, event) for event in waiting for function in self._consumers(event)]
            deliveries *= self.copies
            self.random.shuffle(deliveries)
            answers = await asyncio.gather(*(self._deliver(*one) for one in deliveries))
            found = {reply.id: reply for reply in map(self._reply, answers) if reply is not None}
            waiting = list(found.values())
            self.replies += waiting

    async def _deliver(self, function: str, event: Event) -> httpx.Response:
        async with self._slots[function]:
            return await self.functions.deliver(function, event)

    def _consumers(self, event: Event) -> list[str]:
        attributes = {"type": event.type, "source": event.source, "id": event.id, **event.extensions}
        names = []
        for trigger in self.table.matching(attributes):
            subscriber = self.table.by_name[trigger].spec.subscriber.ref
            assert subscriber is not None
            names.append(subscriber.name.replace("-", "_"))
        return names

    @staticmethod
    def _reply(answer: httpx.Response) -> Event | None:
        assert answer.status_code in {200, 204}, answer.text
        return Event.from_http(answer.headers, answer.content) if answer.status_code == 200 else None
