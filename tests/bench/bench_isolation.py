"""What a misbehaving subscriber costs another trigger: its latency, its rate, and the dispatcher's memory.

Two triggers share ingress, dispatcher and Redis. Short windows in which only the good trigger gets events
alternate with windows beside the bad one: its events wait already, and 20 more come every second; they are
retried with exponential backoff. Each window beside is compared with those alone just before and after it,
and the ratio is the median over all of them, so that what else the machine does cancels out. Latency is that
of events sent one after another; rate is reached over 16 connections. The bad subscriber is a process of its
own on the same cores. `answers204` is the control: a second trigger costs its share of the machine also when
its subscriber behaves. `minuteof500` answers 500 for a whole minute, between two blocks of windows alone.
Run: `make bench-isolation`, or `python -m tests.bench.bench_isolation --only hangs --pairs 40`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import uvloop

from tests.bench.isolation_bed import IsolationBed
from tests.bench.report import print_table, write_report

MISBEHAVIOURS = {
    "answers204": "answers204",
    "hangs": "hangs",
    "answers500": "answers500",
    "minuteof500": "answers500",
    "answersgarbage": "answersgarbage",
    "closes": "closes",
    "answers10megabytes": "answers10megabytes",
}
# Events that wait for the bad trigger when a window begins: more than the dispatcher delivers at once. For a
# subscriber that hangs, more than it takes in hand, so that its lane is full.
BACKLOG = 40
HANGING_BACKLOG = 200
DELIVERY = {"retry": 5, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S", "timeout": "PT60S"}
PAIRS = 24
LATENCY_EVENTS = 100
RATE_EVENTS = 1_500
CONNECTIONS = 16
MINUTE_SECONDS = 60
SETTLE_SECONDS = 0.2


@dataclass
class Windows:
    """Figures of the windows of one kind, in their order."""

    latency_ms: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    async def take(self, bed: IsolationBed) -> None:
        """Measure one window."""
        self.latency_ms.append(await bed.latency_ms(LATENCY_EVENTS))
        self.rate.append(await bed.rate(RATE_EVENTS, connections=CONNECTIONS))
        self.memory_mb.append(bed.memory_mb)


@dataclass(frozen=True)
class Case:
    """What one misbehaviour cost; above 1 is worse for both ratios."""

    name: str
    alone: Windows
    beside: Windows
    latency_ratios: Sequence[float]
    rate_ratios: Sequence[float]

    @classmethod
    def of(cls, name: str, alone: Windows, beside: Windows) -> "Case":
        """Compare each window beside with the mean of two alone, which lie before and after it."""
        latency = [b / a for a, b in zip(_means(alone.latency_ms), beside.latency_ms, strict=True)]
        rate = [a / b for a, b in zip(_means(alone.rate), beside.rate, strict=True)]
        return cls(name, alone, beside, latency, rate)

    @property
    def memory_mb(self) -> float:
        """Most memory in any window, above that of the first, before the bad subscriber."""
        return max(*self.alone.memory_mb, *self.beside.memory_mb) - self.alone.memory_mb[0]


async def interleaved(name: str, bed: IsolationBed, pairs: int) -> Case:
    """Alternate windows alone and beside."""
    alone, beside = Windows(), Windows()
    for _ in range(pairs):
        await alone.take(bed)
        await bed.misbehave(HANGING_BACKLOG if name == "hangs" else BACKLOG)
        await asyncio.sleep(SETTLE_SECONDS)
        await beside.take(bed)
        await bed.behave()
    await alone.take(bed)
    return Case.of(name, alone, beside)


async def for_a_minute(name: str, bed: IsolationBed) -> Case:
    """Measure without pause while the subscriber misbehaves for a minute; half as often before, and after."""
    alone, beside = Windows(), Windows()
    started = time.monotonic()
    while time.monotonic() < started + MINUTE_SECONDS / 2:
        await alone.take(bed)
    started = time.monotonic()
    await bed.misbehave(BACKLOG)
    while time.monotonic() < started + MINUTE_SECONDS:
        await beside.take(bed)
    await bed.behave()
    while len(alone.rate) <= len(beside.rate):
        await alone.take(bed)
    del alone.latency_ms[len(beside.rate) + 1 :], alone.rate[len(beside.rate) + 1 :]
    return Case.of(name, alone, beside)


async def measure(name: str, pairs: int) -> Case:
    """Return what one misbehaviour costs."""
    with tempfile.TemporaryDirectory() as folder:
        bed = IsolationBed(Path(folder), misbehaviour=MISBEHAVIOURS[name], delivery=DELIVERY)
        with bed:
            await Windows().take(bed)
            case = for_a_minute(name, bed) if name == "minuteof500" else interleaved(name, bed, pairs)
            return await case


def _means(figures: Sequence[float]) -> list[float]:
    return [(earlier + later) / 2 for earlier, later in pairwise(figures)]


def _spread(ratios: Sequence[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{low:.2f} to {high:.2f}"


def show(cases: Sequence[Case]) -> None:
    """Print the figures."""
    print_table(
        "Beside a bad subscriber against alone: medians of paired ratios, and the middle half of them",
        ("subscriber", "pairs", "latency ms", "latency ratio", "", "events/s", "rate ratio", "", "memory MB"),
        [
            (
                case.name,
                len(case.rate_ratios),
                statistics.median(case.beside.latency_ms),
                statistics.median(case.latency_ratios),
                _spread(case.latency_ratios),
                statistics.median(case.beside.rate),
                statistics.median(case.rate_ratios),
                _spread(case.rate_ratios),
                case.memory_mb,
            )
            for case in cases
        ],
    )


def figures_of(cases: Sequence[Case]) -> dict[str, float]:
    """Return the report's figures."""
    figures: dict[str, float] = {}
    for case in cases:
        figures[f"{case.name}_latency_ratio"] = statistics.median(case.latency_ratios)
        figures[f"{case.name}_rate_ratio"] = statistics.median(case.rate_ratios)
        figures[f"{case.name}_memory_mb"] = case.memory_mb
    return figures


def main() -> None:
    """Measure, print the table, write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=MISBEHAVIOURS, action="append", help="instead of all")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    options = parser.parse_args()
    cases = []
    for name in options.only or MISBEHAVIOURS:
        cases.append(uvloop.run(measure(name, options.pairs)))
        show(cases[-1:])
    show(cases)
    if not options.only:
        write_report("isolation", figures_of(cases))


if __name__ == "__main__":
    main()
