"""A broker of real processes over a real redis-server, with sinks that do as they are told."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from pydantic import SecretStr
from redis import Redis

from alphapulse_broker import operations
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.operations import DeadLetter
from alphapulse_broker.settings import Settings
from alphapulse_broker.triggers import load
from alphapulse_local.embedded.process import free_port, log_tail, spawn, stop
from alphapulse_local.embedded.redis import EmbeddedRedis

PATH = "/alphapulse/default"


@dataclass
class Delivery:
    """One request a sink got."""

    sink: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["ce-id"]


Behaviour = Callable[[Delivery], Awaitable[web.Response]]


async def accepts(_: Delivery) -> web.Response:
    return web.Response(status=204)


def answers(status: int, **options: Any) -> Behaviour:
    async def behave(_: Delivery) -> web.Response:
        return web.Response(status=status, **options)

    return behave


def replies(event_type: str) -> Behaviour:
    """Answer each event with one of another type, the way a function does."""

    async def behave(delivery: Delivery) -> web.Response:
        headers = {
            "ce-specversion": "1.0",
            "ce-id": f"reply-to-{delivery.id}",
            "ce-source": f"/functions/{delivery.sink}",
            "ce-type": event_type,
            "content-type": "application/json",
        }
        return web.Response(status=200, headers=headers, body=b'{"reply":true}')

    return behave


@dataclass
class Sinks:
    """An HTTP server; `/<name>` behaves as `behaviours[<name>]` says and remembers what came."""

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    port: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{name}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def of(self, sink: str) -> list[Delivery]:
        return [delivery for delivery in self.deliveries if delivery.sink == sink]

    def ids(self, sink: str) -> list[str]:
        return [delivery.id for delivery in self.of(sink)]

    async def _serve(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        name = request.match_info["name"]
        delivery = Delivery(name, headers, await request.read(), time.monotonic())
        self.deliveries.append(delivery)
        return await self.behaviours.get(name, accepts)(delivery)


def trigger(
    name: str, *, types: str = "", sink: str = "", delivery: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    """Return a Trigger manifest; events of type `types` go to Service `sink` (default: the name)."""
    content: dict[str, Any] = {
        "broker": "default",
        "subscriber": {"ref": {"apiVersion": "v1", "kind": "Service", "name": sink or name}},
    }
    if types:
        content["filter"] = {"attributes": {"type": types}}
    if delivery is not None:
        content["delivery"] = delivery
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name, "namespace": "alphapulse"},
        "spec": {**content, **spec},
    }


def dead_letters_to(sink: str) -> dict[str, Any]:
    return {"deadLetterSink": {"ref": {"apiVersion": "v1", "kind": "Service", "name": sink}}}


QUICK = {"retry": 3, "backoffPolicy": "exponential", "backoffDelay": "PT0.05S", "timeout": "PT5S"}


class Rig:
    """Starts, kills and asks the processes of one broker."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.redis = EmbeddedRedis(directory / "redis", password=uuid.uuid4().hex)
        self.sinks = Sinks(port=free_port())
        self.triggers = directory / "eventing" / "triggers"
        self.triggers.mkdir(parents=True)
        self.ingress_port = free_port()
        self.dispatcher_port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.settings: dict[str, str] = {
            "BROKER_CLAIM_IDLE_SECONDS": "1",
            "BROKER_CLAIM_EVERY_SECONDS": "0.3",
            "BROKER_HEARTBEAT_SECONDS": "0.3",
            "BROKER_PROMOTE_SECONDS": "0.05",
            "BROKER_TABLE_POLL_SECONDS": "0.1",
            "BROKER_SHUTDOWN_SECONDS": "5",
            "BROKER_READ_BLOCK_SECONDS": "0.5",
            "BROKER_MAX_EVENT_BYTES": "20000",
        }
        self._session: aiohttp.ClientSession | None = None

    def write(self, *manifests: dict[str, Any]) -> None:
        """Replace the triggers; delivery is quick unless a trigger says other."""
        broker = {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Broker",
            "metadata": {"name": "default", "namespace": "alphapulse"},
            "spec": {"delivery": QUICK},
        }
        (self.triggers.parent / "broker.yaml").write_text(yaml.safe_dump(broker))
        fresh = self.triggers / "all.yaml.new"
        fresh.write_text(yaml.safe_dump_all(manifests))
        fresh.replace(self.triggers / "all.yaml")

    def boot(self) -> None:
        """Start Redis and both processes; they need no event loop of ours."""
        self.redis.start()
        self.launch("ingress")
        self.launch("dispatcher")

    async def start(self, *manifests: dict[str, Any]) -> None:
        """Open the sinks and return when these triggers are in force in both processes."""
        self.write(*manifests)
        await self.sinks.start()
        self._session = aiohttp.ClientSession()
        if not self.processes:
            self.boot()
        await self.change(*manifests)

    async def change(self, *manifests: dict[str, Any]) -> None:
        """Replace the triggers and return when both processes use them."""
        self.write(*manifests)
        revision = load(self.triggers).revision
        for port in (self.ingress_port, self.dispatcher_port):
            await self.until_ready(port, table=revision)

    async def close(self) -> None:
        """Stop everything."""
        for process in self.processes.values():
            # In a thread: the sinks of this event loop must go on answering what is in flight.
            await asyncio.to_thread(stop, process)
        await self.leave()
        self.redis.stop()

    async def leave(self) -> None:
        """Close what belongs to one test; the processes go on."""
        if self._session is not None:
            await self._session.close()
        await self.sinks.stop()

    def reset(self) -> None:
        """Forget the sinks and every entry of the test before."""
        self.sinks = Sinks(port=self.sinks.port)
        with Redis.from_url(self.redis.url) as client:
            client.flushdb()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "BROKER_REDIS_URL": self.redis.url,
            "BROKER_PORT": str(self.ingress_port),
            "BROKER_DISPATCHER_PORT": str(self.dispatcher_port),
            "BROKER_TRIGGERS": str(self.triggers),
            "BROKER_SUBSCRIBERS": f"http://127.0.0.1:{self.sinks.port}/{{name}}",
            **self.settings,
        }

    def launch(self, command: str, *, name: str = "", **settings: str) -> subprocess.Popen[bytes]:
        name = name or command
        self.processes[name] = spawn(
            [sys.executable, "-m", "alphapulse_broker", command],
            log=self.log(name),
            environment={**self.environment, **settings},
        )
        return self.processes[name]

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def kill(self, name: str) -> None:
        stop(self.processes[name], how=signal.SIGKILL)

    def run(self, *arguments: str) -> Any:
        """Run an operator's command and return its JSON, or its text."""
        done = subprocess.run(
            [sys.executable, "-m", "alphapulse_broker", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return json.loads(done.stdout) if "--json" in arguments else done.stdout.strip()

    async def send(
        self, event_id: str, *, event_type: str = "t", body: bytes = b'{"n":1}', **extra: str
    ) -> aiohttp.ClientResponse:
        """POST an event in binary mode; `extra` are further attributes."""
        headers = {
            "ce-specversion": "1.0",
            "ce-id": event_id,
            "ce-source": "/test",
            "ce-type": event_type,
            "content-type": "application/json",
            **{f"ce-{name}": value for name, value in extra.items()},
        }
        return await self.post(headers=headers, data=body)

    async def post(self, path: str = PATH, **options: Any) -> aiohttp.ClientResponse:
        return await self.request("POST", path, **options)

    async def request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        assert self._session is not None
        url = f"http://127.0.0.1:{self.ingress_port}{path}"
        response = await self._session.request(method, url, allow_redirects=False, **options)
        await response.read()
        return response

    async def get(self, port: int, path: str) -> tuple[int, str]:
        assert self._session is not None
        async with self._session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status, await response.text()

    async def until_ready(self, port: int, *, table: str = "") -> None:
        async def ready() -> bool:
            try:
                status, text = await self.get(port, "/ready")
            except aiohttp.ClientError:
                return False
            return status == 200 and table in text

        await self.until(ready)

    async def until(self, holds: Callable[[], Any], *, seconds: float = 15) -> None:
        """Poll a condition (plain or async) until it holds."""
        deadline = time.monotonic() + seconds
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            if time.monotonic() > deadline:
                logs = "\n".join(log_tail(self.log(name), lines=20) for name in self.processes)
                raise AssertionError(f"condition not met within {seconds} s\n{logs}")
            await asyncio.sleep(0.02)

    async def until_delivered(self, sink: str, *ids: str, seconds: float = 15) -> None:
        await self.until(lambda: set(ids) <= set(self.sinks.ids(sink)), seconds=seconds)

    async def until_empty(self, name: str) -> None:
        """Wait until nothing of a trigger is waiting, in flight or delayed."""

        async def empty() -> bool:
            status, text = await self.get(self.dispatcher_port, "/metrics")
            states = [
                f'redisbroker_entries{{state="{s}",trigger="{name}"}} 0.0'
                for s in ("lag", "in_flight", "delayed")
            ]
            return status == 200 and all(state in text for state in states)

        await self.until(empty)

    async def parked(self) -> list[DeadLetter]:
        log = EventLog(Settings(redis_url=SecretStr(self.redis.url)))
        try:
            return (await operations.dead_letters(log)).entries
        finally:
            await log.close()
