"""The two systems that are measured beside each other: the broker, and Celery."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from alphapulse_local.embedded.process import free_port
from tests.bench.broker_celery import tasks_done
from tests.bench.broker_events import TYPE
from tests.bench.broker_processes import DEADLINE_SECONDS, ROOT, Bed, answers

PATH = "/alphapulse/default"
STREAM = "redisbroker:{alphapulse/default.0}:stream:bench"
POLL_SECONDS = 0.01

TRIGGER = {
    "apiVersion": "eventing.knative.dev/v1",
    "kind": "Trigger",
    "metadata": {"name": "bench", "namespace": "alphapulse"},
    "spec": {
        "broker": "default",
        "filter": {"attributes": {"type": TYPE}},
        "subscriber": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "bench"}},
        "delivery": {"retry": 5, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S"},
    },
}


class BrokerBed(Bed):
    """Ingress, dispatcher, one subscriber, and a trigger that leads from one to the other."""

    def __init__(self, directory: Path, *, profile: bool = False) -> None:
        super().__init__(directory)
        self.ingress_port, self.dispatcher_port, self.sink_port = free_port(), free_port(), free_port()
        self._profile = profile

    def open(self) -> None:
        """Start the three processes and return when they are ready."""
        triggers = self.directory / "triggers"
        triggers.mkdir()
        (triggers / "bench.yaml").write_text(yaml.safe_dump(TRIGGER))
        environment = {
            "BROKER_REDIS_URL": self.redis.url,
            "BROKER_PORT": str(self.ingress_port),
            "BROKER_DISPATCHER_PORT": str(self.dispatcher_port),
            "BROKER_TRIGGERS": str(triggers),
            "BROKER_SUBSCRIBERS": f"http://127.0.0.1:{self.sink_port}/{{name}}",
        }
        self.start("subscriber", "tests.bench.broker_sink", str(self.sink_port))
        for name in ("ingress", "dispatcher"):
            output = str(self.directory / f"{name}.profile")
            python = ("-m", "cProfile", "-o", output) if self._profile else ()
            self.start(name, "alphapulse_broker", name, python=python, **environment)
        self.until(lambda: answers(self.sink_port, "/figures"), "subscriber")
        self.until(lambda: answers(self.ingress_port, "/ready"), "ingress")
        self.until(lambda: answers(self.dispatcher_port, "/ready"), "dispatcher")

    def load(self, *, events: int, connections: int, rate: float = 0) -> dict[str, Any]:
        """Send events and wait until each is delivered and acknowledged; return all figures."""
        self._ask("/reset", method="POST")
        before = self.cpu_seconds()
        command = [sys.executable, "-m", "tests.bench.broker_load", f"127.0.0.1:{self.ingress_port}", PATH]
        generator = subprocess.Popen(
            [*command, str(events), str(connections), str(rate)], cwd=ROOT, stdout=subprocess.PIPE
        )
        output, _ = generator.communicate(timeout=DEADLINE_SECONDS)
        ack = json.loads(output)
        if ack["statuses"] != {"202": events}:
            raise RuntimeError(f"the ingress did not accept every event: {ack['statuses']}")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.client.xlen(STREAM):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not delivered in time: {self.client.xlen(STREAM)} events")
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - ack["started"]
        used = self.used(before)
        arrived = self._ask("/figures")
        if arrived["count"] < events:
            raise RuntimeError(f"{events} events were accepted and {arrived['count']} delivered")
        return {"seconds": seconds, "cpu": used, "ack": ack, "arrived": arrived, "events": events}

    def _ask(self, path: str, *, method: str = "GET") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.sink_port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - http, as above
            body = answer.read()
        return json.loads(body) if body else None


class CeleryBed(Bed):
    """A Celery worker with two processes over a Redis of the same kind."""

    def __init__(self, directory: Path, *, prefetch: int) -> None:
        super().__init__(directory)
        self._prefetch = prefetch
        self._done = directory / "done"
        self._environment = {"CELERY_BROKER": self.redis.url, "CELERY_DONE": str(self._done)}
        self._sent = 0

    def open(self) -> None:
        """Start the worker and return when it has done something."""
        self._done.mkdir()
        command = ("celery", "-A", "tests.bench.broker_celery", "worker", "--pool", "prefork")
        options = (
            "--concurrency",
            "2",
            "--prefetch-multiplier",
            str(self._prefetch),
            "--loglevel",
            "warning",
        )
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        self.start("worker", *command, *options, *quiet, **self._environment)
        self.load(events=50)

    def load(self, *, events: int) -> dict[str, Any]:
        """Send tasks and wait until each has run and is acknowledged; return all figures."""
        self._sent += events
        before = self.cpu_seconds()
        started = time.monotonic()
        producer = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.broker_celery", str(events)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **self._environment},
            stdout=subprocess.PIPE,
        )
        output, _ = producer.communicate(timeout=DEADLINE_SECONDS)
        # The time of starting the sender is not Celery's.
        started = time.monotonic() - float(output)
        self.until(self._is_done, "worker")
        return {"seconds": time.monotonic() - started, "cpu": self.used(before), "events": events}

    def _is_done(self) -> bool:
        return tasks_done(self._done) >= self._sent and not self.client.hlen("unacked")
