"""Many tenants ask six agents about ten symbols, all at once: what finishes, what is fetched, what it takes.

Every signal must be made and stored once, every consensus reached once. Bars are read from PostgreSQL once
per symbol and interval while the cache keeps them, figures are fetched from their services (stand-ins over
HTTP, with the functions' own budgets) once per asset while they are fresh, and more than 95 % of all reads
come from the shared cache. No function's process takes more memory than its manifest allows it.
Run: `python -m tests.bench.load_agents [--tenants 200 --symbols 10]`; fails when one of these does not hold.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
import yaml

from alphapulse.domain.agents.registry import AGENT_NAMES
from tests.bench.agents_bed import AgentsBed
from tests.bench.agents_outcome import Finished
from tests.bench.agents_sources import ASSETS, WARM_UP_ASSET, RunningSources
from tests.bench.report import print_table, write_report
from tests.processes import ROOT

LEAST_HIT_RATE: Final = 0.95
# For this long the cache keeps daily bars, and posts and supply are fresh: the shortest of all.
FRESH_SECONDS: Final = 300.0
# A service without a key, and assets that nobody governs: no question leaves the process.
_ASKED_NOBODY: Final = frozenset({"not_configured", "unknown"})
_SAMPLE_SECONDS: Final = 0.25
_MEBIBYTE: Final = 2**20
_COUNTER: Final = re.compile(r'(\w+)="([^"]*)"')


class MemoryWatch:
    """Notes the most memory each process had; a context manager."""

    def __init__(self, bed: AgentsBed) -> None:
        self.peaks: dict[str, float] = {}
        self._pids = {name: process.pid for name, process in bed.running().items()}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            for name, pid in self._pids.items():
                used = psutil.Process(pid).memory_info().rss / _MEBIBYTE
                self.peaks[name] = max(used, self.peaks.get(name, 0.0))
            if self._end.wait(_SAMPLE_SECONDS):
                return


def memory_limits() -> dict[str, float]:
    """Return how many MiB the manifest of each function allows it."""
    limits = {}
    for path in (ROOT / "knative" / "base" / "functions").glob("*.yaml"):
        service = yaml.safe_load(path.read_text(encoding="utf-8"))
        [container] = service["spec"]["template"]["spec"]["containers"]
        text = container["resources"]["limits"]["memory"]
        factor = {"Mi": 1.0, "Gi": 1024.0}[text[-2:]]
        limits[path.stem.replace("-", "_")] = float(text[:-2]) * factor
    return limits


def labelled(metrics: Mapping[str, float], counter: str) -> dict[tuple[str, ...], float]:
    """Return a counter by the values of its labels, in order of their names."""
    found: dict[tuple[str, ...], float] = {}
    for key, value in metrics.items():
        name, _, labels = key.partition("{")
        if name == counter:
            found[tuple(text for _, text in sorted(_COUNTER.findall(labels)))] = value
    return found


def judge(
    finished: Finished,
    *,
    expected_consensus: int,
    symbols: int,
    reads: Mapping[str, Counter[str]],
    fetches: Mapping[tuple[str, str], float],
    peaks: Mapping[str, float],
) -> list[str]:
    """Return what does not hold."""
    wrong = []
    if finished.signals != finished.asked or finished.doubled:
        wrong.append(f"{finished.asked} signals asked, {finished.signals} stored, {finished.doubled} doubled")
    if finished.consensus != expected_consensus:
        wrong.append(f"{expected_consensus} consensus expected, {finished.consensus} reached")
    wrong += [f"{count} x {what}" for what, count in finished.statuses.items() if "failed" in what]
    most = symbols * (1 + int(finished.seconds // FRESH_SECONDS))
    if reads["candles"]["miss"] > most:
        wrong.append(f"bars of {symbols} symbols were read {reads['candles']['miss']:.0f} times")
    for (dataset, source), count in fetches.items():
        if count > most:
            wrong.append(f"{source} answered about {dataset} {count:.0f} times for {symbols} assets")
    for dataset, outcomes in reads.items():
        if (rate := hit_rate(outcomes)) <= LEAST_HIT_RATE:
            wrong.append(f"hit rate of {dataset} {100 * rate:.2f} %")
    limits = memory_limits()
    for name, peak in peaks.items():
        if peak > limits.get(name, float("inf")):
            wrong.append(f"{name} had {peak:.0f} MiB, its manifest allows {limits[name]:.0f}")
    return wrong


def hit_rate(outcomes: Mapping[str, float]) -> float:
    """Return the share of reads that asked no source: those that waited for another's answer count too."""
    return 1.0 - outcomes.get("miss", 0.0) / sum(outcomes.values())


def measure(tenants: int, symbols: int, deadline_seconds: float) -> list[str]:
    """Run the load, print the tables, write the report, and return what does not hold."""
    with tempfile.TemporaryDirectory() as folder, RunningSources() as sources:
        assets = (*ASSETS[:symbols], WARM_UP_ASSET)
        bed = AgentsBed(Path(folder), assets=assets, environment=sources.environment)
        with bed, MemoryWatch(bed) as memory:
            finished, metrics = asyncio.run(_load(bed, tenants, deadline_seconds))
            cache_failures = bed.cache_failures()
    asked = labelled(metrics, "alphapulse_source_fetches_total")
    reads = _reads_of(metrics, asked)
    answered = {(d, s): count for (d, outcome, s), count in asked.items() if outcome == "ok"}
    wrong = judge(
        finished,
        expected_consensus=tenants * symbols,
        symbols=symbols,
        reads=reads,
        fetches=answered,
        peaks=memory.peaks,
    )
    _show(finished, tenants=tenants, symbols=symbols)
    _show_data(reads, asked, memory.peaks)
    print(f"times that the cache did not answer a function in time: {cache_failures}")
    write_report(
        "agents-load",
        _figures(finished, reads, memory.peaks),
        command=f"python -m tests.bench.load_agents --tenants {tenants} --symbols {symbols}",
    )
    return wrong


async def _load(bed: AgentsBed, tenants: int, deadline_seconds: float) -> tuple[Finished, Counter[str]]:
    """Return what became of the load, and what was counted meanwhile."""
    *symbols, other = bed.symbols
    # About a symbol of its own, so that the load finds processes that run and a cache without its data.
    await bed.run(await bed.new_tenants(1), AGENT_NAMES, symbols=[other])
    before = bed.metrics()
    asking = await bed.new_tenants(tenants)
    finished = await bed.run(asking, AGENT_NAMES, symbols=symbols, deadline_seconds=deadline_seconds)
    after = bed.metrics()
    after.subtract(before)
    return finished, after


def _reads_of(
    metrics: Mapping[str, float], asked: Mapping[tuple[str, ...], float]
) -> Mapping[str, Counter[str]]:
    """Return reads by data set and outcome, without those that found that there is nobody to ask."""
    reads: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (dataset, outcome), count in labelled(metrics, "alphapulse_shared_reads_total").items():
        reads[dataset][outcome] += round(count)
    for (dataset, outcome, _), count in asked.items():
        if outcome in _ASKED_NOBODY:
            reads[dataset]["miss"] -= round(count)
    return reads


def _show(finished: Finished, *, tenants: int, symbols: int) -> None:
    rows = [
        ("signals asked for", finished.asked),
        ("signals stored", finished.signals),
        ("consensus reached", finished.consensus),
        ("stored more than once", finished.doubled),
        *sorted(finished.statuses.items()),
    ]
    title = f"{tenants} tenants x {symbols} symbols x {len(AGENT_NAMES)} agents at once"
    print_table(title, ("what", "count"), rows)
    print_table("Commonest abstentions", ("agent", "reason", "count"), finished.reasons[:12])
    rate = finished.signals / finished.seconds
    print(f"all ended after {finished.seconds:.1f} s: {rate:.0f} signals per second")


def _show_data(
    reads: Mapping[str, Counter[str]],
    asked: Mapping[tuple[str, ...], float],
    peaks: Mapping[str, float],
) -> None:
    columns = ("data set", "reads", "hit", "waited", "miss", "hit rate %")
    rows = [
        (
            dataset,
            sum(found.values()),
            found["hit"],
            found["waited"],
            found["miss"],
            f"{100 * hit_rate(found):.2f}",
        )
        for dataset, found in sorted(reads.items())
    ]
    print_table("Reads of what all tenants share", columns, rows)
    print_table(
        "Questions to services",
        ("data set", "service", "outcome", "count"),
        [(dataset, source, outcome, count) for (dataset, outcome, source), count in sorted(asked.items())],
    )
    limits = memory_limits()
    print_table(
        "Peak resident memory, MiB",
        ("process", "peak", "allowed"),
        [(name, peak, limits.get(name)) for name, peak in sorted(peaks.items())],
    )


def _figures(
    finished: Finished, reads: Mapping[str, Counter[str]], peaks: Mapping[str, float]
) -> dict[str, float]:
    everything: Counter[str] = sum(reads.values(), Counter())
    functions = [peak for name, peak in peaks.items() if name in memory_limits()]
    return {
        "signals": finished.signals,
        "seconds": finished.seconds,
        "signals_per_s": finished.signals / finished.seconds,
        "doubled": finished.doubled,
        "hit_rate_pct": 100 * hit_rate(everything),
        "candle_reads_past_the_cache": reads["candles"]["miss"],
        "largest_function_mib": max(functions),
        "all_functions_mib": sum(functions),
    }


def main() -> None:
    """Load, print the verdict, and fail when something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--symbols", type=int, default=len(ASSETS), choices=range(1, len(ASSETS) + 1))
    parser.add_argument("--deadline-seconds", type=float, default=290.0)
    options = parser.parse_args()
    wrong = measure(options.tenants, options.symbols, options.deadline_seconds)
    print("verdict: " + ("; ".join(wrong) if wrong else "all finished, each once, from shared data"))
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
