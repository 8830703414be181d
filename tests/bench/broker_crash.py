"""A broker under load whose processes are killed at seeded moments and started again."""

import asyncio
import itertools
import random
import signal
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml

from alphapulse_local.embedded.process import free_port, log_tail, stop
from tests.bench.broker_matrix import attributes, expected, manifests
from tests.bench.broker_processes import Bed, answers
from tests.bench.broker_verdict import NANOSECONDS, Kill, Verdict, judge, recorded

PATH = "/alphapulse/default"
PREFIX = "redisbroker:{alphapulse/default.0}"
GROUP = "d"
VICTIMS = ("ingress", "dispatcher", "subscriber", "redis-server")
DISPATCHERS = ("dispatcher-a", "dispatcher-b")
SENDERS = 16
REPEAT_SECONDS = 0.05
DOWN_SECONDS = (0.1, 0.8)
# So many events may be accepted beyond a kill's moment while the victim before it is not back yet.
LEAD = 64
# Kills fall into this part of the events: some must be accepted before, and some after.
KILLED_BETWEEN = (0.05, 0.95)


@dataclass(frozen=True)
class Plan:
    """How many events, how many kills of each victim, and the seed of their moments."""

    events: int
    kills: int
    seed: int

    def moments(self) -> list[tuple[int, str, float]]:
        """Return (events accepted before the kill, victim, seconds until it is started again), in order."""
        dice = random.Random(self.seed)
        victims = [name for name in VICTIMS for _ in range(self.kills)]
        return sorted(
            (int(self.events * dice.uniform(*KILLED_BETWEEN)), victim, dice.uniform(*DOWN_SECONDS))
            for victim in victims
        )


class CrashBed(Bed):
    """Ingress, two dispatchers, the recording subscriber and Redis, each of which may die."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        super().__init__(directory)
        self.record = directory / "deliveries"
        self._triggers = directory / "triggers"
        names = ("ingress", "subscriber", *DISPATCHERS, "dispatcher-c")
        self.ports = {name: free_port() for name in names}
        self._environment = {
            "BROKER_REDIS_URL": self.redis.url,
            "BROKER_PORT": str(self.ports["ingress"]),
            "BROKER_TRIGGERS": str(self._triggers),
            "BROKER_SUBSCRIBERS": f"http://127.0.0.1:{self.ports['subscriber']}/{{name}}",
            **settings,
        }

    def open(self) -> None:
        """Start the processes and return when they are ready."""
        self.record.touch()
        self._triggers.mkdir()
        (self._triggers / "all.yaml").write_text(yaml.safe_dump_all(manifests()))
        for name in ("subscriber", "ingress", *DISPATCHERS):
            self.launch(name)
        for name in ("subscriber", "ingress", *DISPATCHERS):
            self.until_ready(name)

    def launch(self, name: str) -> None:
        """Start one process, or start it again."""
        port = self.ports[name]
        if name == "subscriber":
            self.start(name, "tests.bench.broker_recorder", str(port), str(self.record))
            return
        command = name.partition("-")[0]
        environment = {**self._environment, "BROKER_DISPATCHER_PORT": str(port)}
        self.start(name, "alphapulse_broker", command, **environment)

    def until_ready(self, name: str) -> None:
        """Wait until a process answers."""
        self.until(lambda: answers(self.ports[name], "/ready"), name)

    def kill(self, name: str) -> None:
        """`kill -9` a process."""
        stop(self.processes[name], how=signal.SIGKILL)

    def delivered_by(self, name: str) -> float:
        """Return how many deliveries a dispatcher has settled."""
        url = f"http://127.0.0.1:{self.ports[name]}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith("redisbroker_delivered_total{")
        )

    def undelivered(self) -> int:
        """Return how many entries wait, are in flight or are delayed."""
        streams = list(self.client.scan_iter(f"{PREFIX}:stream:*"))
        delayed = list(self.client.scan_iter(f"{PREFIX}:delayed:*"))
        return sum(map(self.client.xlen, streams)) + sum(map(self.client.zcard, delayed))

    def parked(self) -> int:
        """Return how many entries are parked."""
        return sum(self.client.xlen(key) for key in self.client.scan_iter(f"{PREFIX}:parked:*"))

    def held_by(self, pid: int) -> int:
        """Return how many entries the dispatcher of a process id has not settled."""
        streams = self.client.scan_iter(f"{PREFIX}:stream:*")
        consumers = [found for stream in streams for found in self.client.xinfo_consumers(stream, GROUP)]
        return sum(found["pending"] for found in consumers if f"-{pid}-".encode() in found["name"])

    async def wait(self, holds: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Poll until `holds`; fail with the ends of all logs after `seconds`."""
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(holds):
            if time.monotonic() > deadline:
                logs = "\n".join(log_tail(self.directory / f"{name}.log") for name in self.processes)
                raise TimeoutError(f"{what} did not come about within {seconds:g} s\n{logs}")
            await asyncio.sleep(0.02)


class Crash:
    """Sends the events of a plan, kills what the plan says, and judges what was delivered."""

    def __init__(self, bed: CrashBed, plan: Plan) -> None:
        self._bed = bed
        self._plan = plan
        self._numbers = iter(range(plan.events))
        self._turns = itertools.cycle(DISPATCHERS)
        self._progress = asyncio.Event()
        self._limit = plan.events
        self.accepted: dict[str, int] = {}
        self.repeated: set[str] = set()
        self.refused = 0
        self.kills: list[Kill] = []

    async def run(self, *, settle_seconds: float) -> Verdict:
        """Return the verdict when everything accepted is settled, or after `settle_seconds`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kill_all())
            group.create_task(self.send(self._numbers))
        await self._bed.wait(lambda: not self._bed.undelivered(), seconds=settle_seconds, what="an empty log")
        return judge(
            expected(self._plan.events),
            recorded(self._bed.record),
            kills=self.kills,
            repeated=self.repeated,
            accepted=self.accepted,
        )

    async def send(self, numbers: Iterable[int]) -> None:
        """Send events, each until it is accepted, as a sender does that must not lose any."""
        shared = iter(numbers)
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._sender(session, shared))

    async def _sender(self, session: aiohttp.ClientSession, numbers: Iterable[int]) -> None:
        for number in numbers:
            await self._until(lambda: len(self.accepted) < self._limit)
            event = attributes(number)
            while not await self._is_accepted(session, event):
                self.repeated.add(event["id"])
                await asyncio.sleep(REPEAT_SECONDS)
            self.accepted[event["id"]] = time.monotonic_ns()
            self._moved()

    async def _is_accepted(self, session: aiohttp.ClientSession, event: Mapping[str, str]) -> bool:
        headers = {f"ce-{name}": value for name, value in event.items()}
        url = f"http://127.0.0.1:{self._bed.ports['ingress']}{PATH}"
        try:
            async with session.post(url, headers=headers, data=b'{"n":1}') as answer:
                self.refused += answer.status != 202
                if answer.status not in {202, 503}:
                    raise RuntimeError(f"the ingress answered {answer.status}")
                return answer.status == 202
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _kill_all(self) -> None:
        moments = self._plan.moments()
        limits = [accepted + LEAD for accepted, _, _ in moments[1:]]
        self._limit = moments[0][0] + LEAD
        for (accepted, victim, down_seconds), limit in zip(
            moments, [*limits, self._plan.events], strict=True
        ):
            await self._until(lambda count=accepted: len(self.accepted) >= count)  # type: ignore[misc]
            # Each kill has its part of the load: sending goes on, up to the next kill.
            self._limit = limit
            self._moved()
            await self._kill(victim, down_seconds)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._progress.wait()

    def _moved(self) -> None:
        """Let everybody who waits look again."""
        self._progress.set()
        self._progress = asyncio.Event()

    async def _kill(self, victim: str, down_seconds: float) -> None:
        name = next(self._turns) if victim == "dispatcher" else victim
        at_ns = time.monotonic_ns()
        if victim == "redis-server":
            await asyncio.to_thread(self._bed.redis.kill)
            await asyncio.sleep(down_seconds)
            await asyncio.to_thread(self._bed.redis.start)
        else:
            await asyncio.to_thread(self._bed.kill, name)
            await asyncio.sleep(down_seconds)
            self._bed.launch(name)
            await asyncio.to_thread(self._bed.until_ready, name)
        self.kills.append(Kill(victim, at_ns, time.monotonic_ns()))


@dataclass(frozen=True)
class Takeover:
    """What two dispatchers made of a load, and what happened when one died and another came."""

    share_of_the_lesser: float
    held_by_the_dead: int
    seconds: float
    delivered_by_the_new: float


async def take_over(bed: CrashBed, *, first: int, events: int, limit_seconds: float) -> Takeover:
    """Measure sharing, takeover and joining with events from number `first` on.

    The subscriber stands still while one of the dispatchers dies, so that what it held is not delivered.
    """
    load = Crash(bed, Plan(events=first + 3 * events, kills=0, seed=0))
    before = [bed.delivered_by(name) for name in DISPATCHERS]
    await load.send(range(first, first + events))
    await bed.wait(lambda: not bed.undelivered(), seconds=limit_seconds, what="an empty log")
    shares = [bed.delivered_by(name) - earlier for name, earlier in zip(DISPATCHERS, before, strict=True)]
    subscriber = bed.processes["subscriber"]
    subscriber.send_signal(signal.SIGSTOP)
    await load.send(range(first + events, first + 2 * events))
    bed.kill(DISPATCHERS[0])
    held = bed.held_by(bed.processes[DISPATCHERS[0]].pid)
    killed_ns = time.monotonic_ns()
    subscriber.send_signal(signal.SIGCONT)
    await bed.wait(lambda: not bed.undelivered(), seconds=limit_seconds, what="takeover")
    seconds = (time.monotonic_ns() - killed_ns) / NANOSECONDS
    bed.launch("dispatcher-c")
    bed.until_ready("dispatcher-c")
    await load.send(range(first + 2 * events, first + 3 * events))
    await bed.wait(lambda: not bed.undelivered(), seconds=limit_seconds, what="an empty log")
    return Takeover(min(shares) / sum(shares), held, seconds, bed.delivered_by("dispatcher-c"))
