"""The crash matrix, short form; `python -m tests.bench.chaos_broker` is the long one, settings as shipped."""

from pathlib import Path

from tests.bench.broker_crash import VICTIMS, Crash, CrashBed, Plan, take_over
from tests.bench.broker_verdict import UNEXPLAINED

# A dispatcher counts as dead soon, yet not so soon that a busy machine makes a live one pass for dead.
QUICK = {
    "BROKER_CLAIM_IDLE_SECONDS": "3",
    "BROKER_CLAIM_EVERY_SECONDS": "0.5",
    "BROKER_HEARTBEAT_SECONDS": "0.5",
    "BROKER_PROMOTE_SECONDS": "0.05",
    "BROKER_READ_BLOCK_SECONDS": "0.5",
}
PLAN = Plan(events=2_000, kills=2, seed=20_250_101)


async def test_15_kills_of_every_process_under_load_lose_nothing_and_lead_nothing_astray(
    tmp_path: Path,
) -> None:
    with CrashBed(tmp_path, QUICK) as bed:
        crash = Crash(bed, PLAN)
        verdict = await crash.run(settle_seconds=30)
        parked = bed.parked()

    assert len(crash.accepted) == PLAN.events
    assert sorted(kill.victim for kill in crash.kills) == sorted(VICTIMS * PLAN.kills)
    assert {name: ids for name, ids in verdict.lost.items() if ids} == {}
    assert {name: ids for name, ids in verdict.wrong.items() if ids} == {}
    assert parked == 0
    assert verdict.reasons[UNEXPLAINED] == 0, verdict.reasons


async def test_15_two_dispatchers_share_one_takes_over_and_a_third_needs_nothing(tmp_path: Path) -> None:
    with CrashBed(tmp_path, QUICK) as bed:
        takeover = await take_over(bed, first=0, events=300, limit_seconds=30)

    assert takeover.share_of_the_lesser > 0.1
    assert takeover.held_by_the_dead > 0
    assert takeover.seconds < 15
    assert takeover.delivered_by_the_new > 0
