"""The broker's rate and latency, beside Celery with a Redis of the same kind doing the same nothing.

Everything is a process of its own: load generator, ingress, dispatcher, redis-server (append-only file,
fsync every second), and a subscriber that answers 204; all share the machine, so the end-to-end rate is
what one machine does in all. Celery acknowledges late and runs two worker processes; its end is when each
task has run and none is unacknowledged, ours when each event is delivered and acknowledged. Rounds of both
are interleaved. Latency is measured at half of the rate reached, from the moment each event was due.
Run: `make bench-broker`; `python -m tests.bench.bench_broker --profile` shows where ingress and dispatcher
spend their time.
"""

import argparse
import pstats
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alphapulse_local.embedded.process import stop
from tests.bench.broker_bed import BrokerBed, CeleryBed
from tests.bench.report import print_table, write_report

ROUNDS = 3
EVENTS = 10_000
CONNECTIONS = 16
PACED_CONNECTIONS = 128
HALF_LOAD_SECONDS = 8
TASKS = 2_000
# Of 1, 4, 32 and 128 tasks per worker process: the fastest; from 4 on there is little between them.
PREFETCH = 32
WARM_UP = 2_000
TOP_FUNCTIONS = 15

Run = Mapping[str, Any]


def measure(directory: Path) -> tuple[list[Run], Run, list[Run]]:
    """Return the rounds of full load, the half load, and Celery's rounds."""
    with (
        BrokerBed(_folder(directory, "broker")) as broker,
        CeleryBed(_folder(directory, "celery"), prefetch=PREFETCH) as celery,
    ):
        broker.load(events=WARM_UP, connections=CONNECTIONS)
        celery.load(events=WARM_UP // 10)
        full, peer = [], []
        for _ in range(ROUNDS):
            full.append(broker.load(events=EVENTS, connections=CONNECTIONS))
            peer.append(celery.load(events=TASKS))
        rate = statistics.median(run["events"] / run["seconds"] for run in full) / 2
        events = int(rate * HALF_LOAD_SECONDS)
        half = broker.load(events=events, connections=PACED_CONNECTIONS, rate=rate)
    return full, half, peer


def figures_of(full: Sequence[Run], half: Run, peer: Sequence[Run]) -> dict[str, float]:
    """Return the report's figures; medians over the rounds."""
    events_s = statistics.median(run["events"] / run["seconds"] for run in full)
    tasks_s = statistics.median(run["events"] / run["seconds"] for run in peer)

    def per_core(name: str, runs: Sequence[Run]) -> float:
        return statistics.median(run["events"] / run["cpu"][name] for run in runs)

    return {
        "ingress_events_per_core_s": per_core("ingress", full),
        "dispatcher_events_per_core_s": per_core("dispatcher", full),
        "end_to_end_events_s": events_s,
        "celery_tasks_s": tasks_s,
        "celery_ratio": events_s / tasks_s,
        "celery_worker_tasks_per_core_s": per_core("worker", peer),
        "half_load_events_s": half["events"] / half["ack"]["seconds"],
        "end_to_end_p50_ms": half["arrived"]["p50"],
        "end_to_end_p99_ms": half["arrived"]["p99"],
        "ack_p50_ms": half["ack"]["p50"],
        "ack_p99_ms": half["ack"]["p99"],
        "full_load_ack_p50_ms": statistics.median(run["ack"]["p50"] for run in full),
        "full_load_ack_p99_ms": statistics.median(run["ack"]["p99"] for run in full),
    }


def show(figures: Mapping[str, float], full: Sequence[Run], half: Run, peer: Sequence[Run]) -> None:
    """Print the figures, and which process the time goes to."""
    print_table("1 KB events, one trigger", ("figure", "measured"), list(figures.items()))
    rows = []
    for name in full[0]["cpu"]:
        loaded, paced = _share(full, name), _share([half], name)
        rows.append((f"broker: {name}", loaded, paced))
    rows += [(f"celery: {name}", _share(peer, name), None) for name in peer[0]["cpu"]]
    title = "Processor time per event, in microseconds (the load generator and Celery's sender left out)"
    print_table(title, ("process", "full load", "half load"), rows)


def profile(directory: Path) -> None:
    """Print where ingress and dispatcher spend their time, with the profiler's own cost in it."""
    with BrokerBed(directory, profile=True) as broker:
        broker.load(events=EVENTS, connections=CONNECTIONS)
        for name in ("ingress", "dispatcher"):
            stop(broker.processes.pop(name), timeout_seconds=30)
    for name in ("ingress", "dispatcher"):
        print(f"\n{name}, {EVENTS} events")
        found = pstats.Stats(str(directory / f"{name}.profile"), stream=sys.stdout)
        found.strip_dirs().sort_stats("tottime").print_stats(TOP_FUNCTIONS)


def _share(runs: Sequence[Run], name: str) -> float:
    return statistics.median(run["cpu"][name] / run["events"] for run in runs) * 1e6


def _folder(directory: Path, name: str) -> Path:
    folder = directory / name
    folder.mkdir()
    return folder


def main() -> None:
    """Measure, print the tables, write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true", help="print function times instead of figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.profile:
            profile(Path(folder))
            return
        full, half, peer = measure(Path(folder))
    figures = figures_of(full, half, peer)
    show(figures, full, half, peer)
    write_report("broker", figures)


if __name__ == "__main__":
    main()
