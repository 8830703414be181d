"""What became of runs of agents, by the rows they left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True)
class Finished:
    """What became of runs that were asked for together.

    Attributes
    ----------
    seconds : float
        From the first request until the last run had ended.
    asked, signals, consensus, doubled : int
        Signals asked for; rows of signals and of consensus; rows that are there more than once.
    statuses : Mapping
        Status of a run or task to how many have it, as ``run done`` and ``task abstained``.
    reasons : sequence of (agent, reason, count)
        Why agents abstained, the commonest first.
    """

    seconds: float
    asked: int
    signals: int
    consensus: int
    doubled: int
    statuses: Mapping[str, int]
    reasons: Sequence[tuple[str, str, int]]


async def running(admin: asyncpg.Connection, run_ids: Sequence[str]) -> int:
    """Return how many of the runs have not ended."""
    count: int = await admin.fetchval(
        "SELECT count(*) FROM alphapulse.agent_runs WHERE id = ANY($1::uuid[]) AND status = 'running'",
        run_ids,
    )
    return count


async def statuses(admin: asyncpg.Connection, run_ids: Sequence[str]) -> dict[str, int]:
    """Return how many runs and tasks have which status."""
    rows = await admin.fetch(
        """SELECT 'run ' || status AS what, count(*) FROM alphapulse.agent_runs
           WHERE id = ANY($1::uuid[]) GROUP BY status
           UNION ALL SELECT 'task ' || status, count(*) FROM alphapulse.agent_run_tasks
           WHERE run_id = ANY($1::uuid[]) GROUP BY status""",
        run_ids,
    )
    return {row["what"]: row["count"] for row in rows}


async def finished(
    admin: asyncpg.Connection, run_ids: Sequence[str], *, seconds: float, asked: int
) -> Finished:
    """Return what became of the runs."""
    counts = await admin.fetchrow(
        """SELECT
             (SELECT count(*) FROM alphapulse.agent_signals WHERE run_id = ANY($1::uuid[])) AS signals,
             (SELECT count(DISTINCT (run_id, agent, symbol)) FROM alphapulse.agent_signals
              WHERE run_id = ANY($1::uuid[])) AS distinct_signals,
             (SELECT count(*) FROM alphapulse.consensus_signals WHERE run_id = ANY($1::uuid[])) AS reached,
             (SELECT count(DISTINCT (run_id, symbol)) FROM alphapulse.consensus_signals
              WHERE run_id = ANY($1::uuid[])) AS distinct_reached""",
        run_ids,
    )
    if counts is None:
        raise RuntimeError("counting gave no row")
    return Finished(
        seconds=seconds,
        asked=asked,
        signals=counts["signals"],
        consensus=counts["reached"],
        doubled=counts["signals"]
        - counts["distinct_signals"]
        + counts["reached"]
        - counts["distinct_reached"],
        statuses=await statuses(admin, run_ids),
        reasons=await _reasons(admin, run_ids),
    )


async def _reasons(admin: asyncpg.Connection, run_ids: Sequence[str]) -> list[tuple[str, str, int]]:
    # Symbols and names of assets apart, the same reason.
    rows = await admin.fetch(
        """SELECT agent, regexp_replace(abstain_reason, '[A-Z]{3,}(-[A-Z]+)?', '...', 'g') AS reason, count(*)
           FROM alphapulse.agent_signals WHERE run_id = ANY($1::uuid[]) AND abstained
           GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2""",
        run_ids,
    )
    return [(row["agent"], row["reason"], row["count"]) for row in rows]
