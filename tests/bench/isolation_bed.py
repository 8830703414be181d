"""A broker with two triggers: the measured one, and one whose subscriber can be told to misbehave."""

import asyncio
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import yaml

from alphapulse_local.embedded.process import free_port
from tests.bench.broker_bed import PATH, POLL_SECONDS, STREAM, TRIGGER
from tests.bench.broker_events import TYPE
from tests.bench.broker_load import Load, Requests
from tests.bench.broker_processes import DEADLINE_SECONDS, Bed, answers

BAD_TYPE = "bench.bad"
BAD_STREAM, BAD_DELAYED, BAD_BODIES = (
    f"redisbroker:{{alphapulse/default.0}}:{kind}:bad" for kind in ("stream", "delayed", "bodies")
)
BAD_PER_SECOND = 20
BAD_CONNECTIONS = 4
MEGABYTE = 1_000_000
# From the answer to one event to the sending of the next: longer than a delivery, so that none waits.
PAUSE_SECONDS = 0.002


class IsolationBed(Bed):
    """Ingress, dispatcher, a good subscriber and a bad one, with a trigger for each."""

    def __init__(self, directory: Path, *, misbehaviour: str, delivery: dict[str, Any]) -> None:
        super().__init__(directory)
        self.ingress_port, self.dispatcher_port = free_port(), free_port()
        self.good_port, self.bad_port = free_port(), free_port()
        self._bad = {
            **TRIGGER,
            "metadata": {"name": "bad", "namespace": "alphapulse"},
            "spec": {
                "broker": "default",
                "filter": {"attributes": {"type": BAD_TYPE}},
                "subscriber": {"uri": f"http://127.0.0.1:{self.bad_port}/{misbehaviour}"},
                "delivery": delivery,
            },
        }
        self._bad_load: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start the processes and return when they are ready."""
        triggers = self.directory / "triggers"
        triggers.mkdir()
        (triggers / "all.yaml").write_text(yaml.safe_dump_all([TRIGGER, self._bad]))
        environment = {
            "BROKER_REDIS_URL": self.redis.url,
            "BROKER_PORT": str(self.ingress_port),
            "BROKER_DISPATCHER_PORT": str(self.dispatcher_port),
            "BROKER_TRIGGERS": str(triggers),
            "BROKER_SUBSCRIBERS": f"http://127.0.0.1:{self.good_port}/{{name}}",
            "BROKER_SHUTDOWN_SECONDS": "1",
        }
        self.start("subscriber", "tests.bench.broker_sink", str(self.good_port))
        self.start("bad", "tests.integration.broker_operations.bad_subscriber", str(self.bad_port))
        self.start("ingress", "alphapulse_broker", "ingress", **environment)
        self.start("dispatcher", "alphapulse_broker", "dispatcher", **environment)
        self.until(lambda: answers(self.good_port, "/figures"), "subscriber")
        self.until(lambda: answers(self.bad_port, "/misbehaves"), "bad")
        self.until(lambda: answers(self.ingress_port, "/ready"), "ingress")
        self.until(lambda: answers(self.dispatcher_port, "/ready"), "dispatcher")

    @property
    def memory_mb(self) -> float:
        """Resident memory of the dispatcher."""
        return float(psutil.Process(self.processes["dispatcher"].pid).memory_info().rss) / MEGABYTE

    async def latency_ms(self, events: int) -> float:
        """Send events one after another to the good trigger; return the median time to arrival."""
        await self._ask("/reset", method="POST")
        await self._send(events, connections=1, pause_seconds=PAUSE_SECONDS)
        await self._until_delivered()
        return float((await self._ask("/figures"))["p50"])

    async def rate(self, events: int, *, connections: int) -> float:
        """Send events as fast as they are accepted; return how many per second are delivered."""
        started = time.monotonic()
        await self._send(events, connections=connections)
        await self._until_delivered()
        return events / (time.monotonic() - started)

    async def misbehave(self, backlog: int) -> None:
        """Send events to the bad trigger, `backlog` at once and then some every second."""
        await _get(self.bad_port, "/misbehaves")
        await self._send(backlog, connections=BAD_CONNECTIONS, event_type=BAD_TYPE)
        self._bad_load = asyncio.create_task(self._keep_sending())

    async def behave(self) -> None:
        """Stop those events, and return when none of them is left."""
        if self._bad_load is not None:
            self._bad_load.cancel()
            await asyncio.wait([self._bad_load])
            if not self._bad_load.cancelled():
                self._bad_load.result()
        await _get(self.bad_port, "/behaves")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.client.xlen(BAD_STREAM) or self.client.zcard(BAD_DELAYED):
            # Waiting for the last retries would take most of the measurement's time.
            self.client.delete(BAD_DELAYED, BAD_BODIES)
            if time.monotonic() > deadline:
                raise RuntimeError("the bad trigger did not become empty")
            await asyncio.sleep(POLL_SECONDS)

    async def _keep_sending(self) -> None:
        while True:
            await asyncio.sleep(1 / BAD_PER_SECOND)
            # Shielded: a request that is cut off would leave its connection open.
            await asyncio.shield(self._send(1, connections=1, event_type=BAD_TYPE))

    async def _send(
        self, events: int, *, connections: int, event_type: str = TYPE, pause_seconds: float = 0
    ) -> None:
        requests = Requests(host="127.0.0.1", path=PATH, event_type=event_type)
        load = Load(requests, events=events, pause_seconds=pause_seconds)
        await load.run(host="127.0.0.1", port=self.ingress_port, connections=connections, rate=0)
        load.close()
        if requests.statuses != {"202": events}:
            raise RuntimeError(f"the ingress did not accept every event: {requests.statuses}")

    async def _until_delivered(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.client.xlen(STREAM):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not delivered in time: {self.client.xlen(STREAM)} events")
            await asyncio.sleep(POLL_SECONDS / 5)

    async def _ask(self, path: str, *, method: str = "GET") -> Any:
        body = await _get(self.good_port, path, method=method)
        return json.loads(body) if body else None


async def _get(port: int, path: str, *, method: str = "GET") -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)

    def ask() -> bytes:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - http, as above
            return bytes(answer.read())

    return await asyncio.to_thread(ask)
