"""Runs made again from what was kept, to show that they can be."""

import asyncio
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from alphapulse.data import queries
from alphapulse.runtime.http import TenantScope, tenant_router
from alphapulse.runtime.work import Scope
from functions.agents.catalogue import AgentName
from functions.agents.runs import RunNotFound

if TYPE_CHECKING:
    from alphapulse.agents.replay import ConsensusReplay, RunReplay, SignalReplay

router = tenant_router()

sql = queries.load(__file__, "replays.sql")

Direction = Literal["buy", "sell", "hold"]
Outcome = Literal[
    "identical", "different", "version_changed", "evidence_gone", "evidence_tampered", "not_kept"
]


class SaidView(BaseModel):
    """What a signal or an abstention says."""

    signal: Direction
    score: float | None
    confidence: float | None
    reasons: list[str]
    abstained: bool


class SignalReplayView(BaseModel):
    """A signal beside the one made again; `identical` is null when they could not be compared."""

    agent: AgentName
    symbol: str
    identical: bool | None
    outcome: Outcome
    version_changed: bool
    agent_version: str
    deployed_version: str
    stored: SaidView
    recomputed: SaidView | None
    problem: str | None


class ReachedView(BaseModel):
    """What a consensus says."""

    signal: Direction
    score: float
    quorum: bool
    reasons: list[str]
    contributions: list[dict[str, object]]


class ConsensusReplayView(BaseModel):
    """A consensus beside the one reached again.

    `from_stored` names the agents whose stored signals it was reached from: theirs could not be made again.
    """

    symbol: str
    identical: bool | None
    outcome: Outcome
    stored: ReachedView
    recomputed: ReachedView | None
    from_stored: list[AgentName]
    problem: str | None


class ReplayView(BaseModel):
    """A run made again; `identical` is null when something, or everything, could not be compared."""

    run_id: uuid.UUID
    identical: bool | None
    signals: list[SignalReplayView]
    consensus: list[ConsensusReplayView]


@router.post("/agents/runs/{run_id}/replay")
async def replay(run_id: uuid.UUID, scope: TenantScope) -> ReplayView:
    """Make the signals and the consensus of a run again from what was kept, and compare."""
    again = await _replay(scope, run_id)
    return ReplayView(
        run_id=run_id,
        identical=again.identical,
        signals=[_signal(one) for one in again.signals],
        consensus=[_consensus(one) for one in again.consensus],
    )


async def _replay(scope: Scope, run_id: uuid.UUID) -> "RunReplay":
    # With numpy, which no other route needs.
    from alphapulse.agents.replay import replay_run  # noqa: PLC0415 - see above
    from alphapulse.agents.snapshots import documents_of  # noqa: PLC0415 - see above

    key = {"tenant_id": scope.tenant_id.value, "run_id": run_id}
    # Ended before the agents speak again; nothing is changed.
    async with scope.transaction() as work:
        if not await sql.run_exists(work.session, **key):
            raise RunNotFound(f"there is no run {run_id}")
        signals = [dict(row) async for row in sql.signals_of_run(work.session, **key)]
        consensus = [dict(row) async for row in sql.consensus_of_run(work.session, **key)]
        named = {row["evidence_digest"] for row in signals if row["evidence_digest"]}
        documents = await documents_of(work.session, named)
    return await asyncio.to_thread(replay_run, signals, consensus, documents)


def _signal(one: "SignalReplay") -> SignalReplayView:
    shown = asdict(one) | {"outcome": one.outcome.value}
    changed = one.agent_version != one.deployed_version
    return SignalReplayView(**shown, identical=one.outcome.identical, version_changed=changed)


def _consensus(one: "ConsensusReplay") -> ConsensusReplayView:
    shown = asdict(one) | {"outcome": one.outcome.value}
    return ConsensusReplayView(**shown, identical=one.outcome.identical)
