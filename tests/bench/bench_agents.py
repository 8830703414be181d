"""How fast agents are: evaluations per core, signals end to end beside Celery, cold start of their functions.

Evaluations: each agent speaks of full evidence (500 daily bars; all figures, posts and votes of one asset),
per second of processor time, the best of several rounds. End to end: from the first `POST /agents/run` until
the last run has ended, with all its signals and consensus stored, through functions, broker and PostgreSQL,
each a process of its own, on one machine; once with all six agents, and once with the technical one beside a
Celery task that reads the same bars from the same cache, computes the same signal, and inserts one row. What
the peer has not to do is keep tenants apart, store evidence, answer twice alike, and reach a consensus.
Rounds of both are interleaved.
Cold start: from spawning a function's process to its first 200, and which modules it must not have loaded.
Run: `make bench-agents`.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from alphapulse.domain.agents.registry import AGENT_NAMES
from tests.bench.agents_bed import AGENT_FUNCTIONS, AgentsBed
from tests.bench.agents_celery import CeleryAgentsBed, prepare
from tests.bench.agents_evidence import BARS, evaluations_per_core, full_evidence
from tests.bench.bench_cold_start import Candidate, candidates
from tests.bench.report import print_table, write_report
from tests.processes import ROOT, minimal_environment

ROUNDS = 3
TENANTS_OF_ALL = 15
TENANTS_OF_ONE = 60
COLD_STARTS = 7
FORBIDDEN = (
    "aiosql",
    "asyncpg",
    "fastapi",
    "httpx",
    "matplotlib",
    "numpy",
    "prometheus_client",
    "pydantic",
    "redis",
    "scipy",
    "vaderSentiment",
)
_LOADED = """
import json, sys
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.serving import serving_app
from alphapulse.runtime.settings import Settings

serving_app(Resources(Settings.from_environment()))
print(json.dumps(sorted(sys.modules)))
"""


def end_to_end(directory: Path) -> dict[str, float]:
    """Return signals per second of all six agents, of the technical one, and tasks of Celery."""
    rates: dict[str, list[float]] = {"signals": [], "technical": [], "celery": []}
    with AgentsBed(_folder(directory, "platform")) as bed:
        stores = {
            "admin_url": bed.admin_url,
            "platform_url": bed.database.platform,
            "cache_url": bed.cache.url,
            "symbols": bed.symbols,
        }
        asyncio.run(prepare(**stores))  # type: ignore[arg-type]  # each of its own type
        with CeleryAgentsBed(
            _folder(directory, "celery"),
            cache_url=bed.cache.url,
            database_url=bed.admin_url,
            symbols=bed.symbols,
        ) as celery:
            asyncio.run(_rate(bed, 2, list(AGENT_NAMES)))  # processes import what they need once
            for _ in range(ROUNDS):
                rates["signals"].append(asyncio.run(_rate(bed, TENANTS_OF_ALL, list(AGENT_NAMES))))
                rates["technical"].append(asyncio.run(_rate(bed, TENANTS_OF_ONE, ["technical"])))
                asyncio.run(prepare(**stores))  # type: ignore[arg-type]  # as above
                rates["celery"].append(celery.rate(TENANTS_OF_ONE * len(bed.symbols)))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    return {
        "signals_end_to_end_s": medians["signals"],
        "technical_end_to_end_s": medians["technical"],
        "celery_tasks_s": medians["celery"],
        "celery_ratio": medians["technical"] / medians["celery"],
    }


def cold_starts(directory: Path) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Return the milliseconds of each agent's function and of the bare framework, and what it loaded."""
    found = [
        candidate
        for candidate in candidates(directory)
        if candidate.name in (*AGENT_FUNCTIONS, "functions_framework_hello")
    ]
    times: dict[str, list[float]] = {candidate.name: [] for candidate in found}
    for candidate in found:
        candidate.start_once()  # writes .pyc files, as an image build does
    for _ in range(COLD_STARTS):
        for candidate in found:
            times[candidate.name].append(candidate.start_once())
    medians = {name: statistics.median(values) * 1000 for name, values in times.items()}
    return medians, {
        candidate.name: _loaded(candidate) for candidate in found if candidate.name in AGENT_FUNCTIONS
    }


def show(figures: Mapping[str, float], starts: Mapping[str, float], loaded: Mapping[str, list[str]]) -> None:
    """Print the tables."""
    print_table(
        f"Evaluations per second and core: {BARS} bars, full evidence",
        ("agent", "per second"),
        [(name, figures[f"{name}_per_core_s"]) for name in AGENT_NAMES],
    )
    print_table(
        "From the request to the stored consensus, on this machine",
        ("what", "signals per second"),
        [
            ("all six agents", figures["signals_end_to_end_s"]),
            ("the technical agent", figures["technical_end_to_end_s"]),
            ("Celery: bars from the cache, the same signal, one row", figures["celery_tasks_s"]),
        ],
    )
    print(f"technical agent beside Celery: {figures['celery_ratio']:.2f}")
    hello = starts["functions_framework_hello"]
    print_table(
        f"Cold start, spawn to first 200, median of {COLD_STARTS} (bare functions-framework: {hello:.0f} ms)",
        ("function", "ms", "ratio", "forbidden modules loaded"),
        [
            (name, starts[name], starts[name] / hello, ", ".join(loaded[name]) or "none")
            for name in AGENT_FUNCTIONS
        ],
    )
    print(f"forbidden at start: {', '.join(FORBIDDEN)}")


async def _rate(bed: AgentsBed, tenants: int, agents: list[str]) -> float:
    finished = await bed.run(await bed.new_tenants(tenants), agents)
    if finished.signals != finished.asked or finished.doubled or "task failed" in finished.statuses:
        raise RuntimeError(f"not every signal was made, each once: {finished}")
    return finished.signals / finished.seconds


def _loaded(candidate: Candidate) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED],
        env=minimal_environment() | dict(candidate.environment) | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(set(FORBIDDEN) & set(json.loads(done.stdout.splitlines()[-1])))


def _folder(directory: Path, name: str) -> Path:
    folder = directory / name
    folder.mkdir()
    return folder


def main() -> None:
    """Measure, print the tables, write the report; fail when a function loads what it must not."""
    figures = {f"{name}_per_core_s": rate for name, rate in evaluations_per_core(full_evidence()).items()}
    with tempfile.TemporaryDirectory() as folder:
        figures |= end_to_end(Path(folder))
        starts, loaded = cold_starts(Path(folder))
    show(figures, starts, loaded)
    figures |= {f"{name}_cold_start_ms": starts[name] for name in AGENT_FUNCTIONS}
    figures["functions_framework_hello_ms"] = starts["functions_framework_hello"]
    write_report("agents", figures)
    if any(loaded.values()):
        sys.exit("a function loads at start what it must not")


if __name__ == "__main__":
    main()
