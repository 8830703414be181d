"""The crash matrix, long form: 20,000 events to eight triggers while every process is killed in turn.

`kill -9` of ingress, dispatcher, subscriber and redis-server (append-only file on) at seeded moments under
load, with the broker's default settings. Then two dispatchers share a load, one dies, one is added.
Run: `python -m tests.bench.chaos_broker [--events N] [--kills N] [--seed N]`; status 0 says that it held.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.bench.broker_crash import VICTIMS, Crash, CrashBed, Plan, Takeover, take_over
from tests.bench.broker_verdict import Verdict
from tests.bench.report import print_table, write_report

SETTLE_SECONDS = 120
TAKEOVER_EVENTS = 400
LONGEST_TAKEOVER_SECONDS = 45


async def run(directory: Path, plan: Plan) -> tuple[Crash, Verdict, int, Takeover]:
    """Run the plan and the takeover; return what happened."""
    with CrashBed(directory, {}) as bed:
        crash = Crash(bed, plan)
        verdict = await crash.run(settle_seconds=SETTLE_SECONDS)
        parked = bed.parked()
        takeover = await take_over(
            bed, first=plan.events, events=TAKEOVER_EVENTS, limit_seconds=SETTLE_SECONDS
        )
    return crash, verdict, parked, takeover


def show(crash: Crash, verdict: Verdict, parked: int, takeover: Takeover) -> None:
    """Print what was killed, what was delivered, and how the takeover went."""
    kills = Counter(kill.victim for kill in crash.kills)
    print_table(
        f"{len(crash.accepted):,} events accepted; {len(crash.repeated):,} of them sent more than once",
        ("victim", "kills", "down s", "longest silence s", "resumed after s", "deliveries that came again"),
        [
            (
                name,
                kills[name],
                max((kill.down_seconds for kill in crash.kills if kill.victim == name), default=None),
                verdict.longest_gap_seconds[name],
                verdict.longest_resume_seconds.get(name),
                verdict.reasons[name],
            )
            for name in VICTIMS
        ]
        + [
            (name, None, None, None, None, verdict.reasons[name])
            for name in ("sender repeated", "unexplained")
        ],
    )
    print_table(
        f"Deliveries; {parked} parked",
        ("trigger", "expected", "delivered", "lost", "duplicates", "wrong"),
        [
            (
                name,
                len(ids),
                len(verdict.delivered[name]),
                len(verdict.lost[name]),
                verdict.duplicates[name],
                len(verdict.wrong[name]),
            )
            for name, ids in verdict.expected.items()
        ],
    )
    print(f"longest from acceptance to a delivery: {verdict.longest_way_seconds:.1f} s")
    print(f"two dispatchers: the lesser did {takeover.share_of_the_lesser:.0%} of the deliveries")
    held, seconds = takeover.held_by_the_dead, takeover.seconds
    print(f"one killed with {held} entries in hand: all delivered after {seconds:.1f} s")
    print(f"one added: it did {takeover.delivered_by_the_new:.0f} deliveries of the next load")


def main() -> int:
    """Run, print, write the report; return 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=5, help="of each of the four")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    plan = Plan(events=options.events, kills=options.kills, seed=options.seed)
    print(f"seed {plan.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        crash, verdict, parked, takeover = asyncio.run(run(Path(folder), plan))
    show(crash, verdict, parked, takeover)
    figures = {
        "seed": plan.seed,
        "kills": len(crash.kills),
        "accepted": len(crash.accepted),
        "delivered": sum(map(len, verdict.delivered.values())),
        "lost": sum(map(len, verdict.lost.values())),
        "wrong": sum(map(len, verdict.wrong.values())),
        "duplicates": sum(verdict.duplicates.values()),
        "unexplained_duplicates": verdict.reasons["unexplained"],
        "longest_silence_s": max(verdict.longest_gap_seconds.values()),
        "longest_redis_down_s": max(
            (kill.down_seconds for kill in crash.kills if kill.victim == "redis-server"), default=0
        ),
        "longest_resume_s": max(verdict.longest_resume_seconds.values(), default=0),
        "longest_way_s": verdict.longest_way_seconds,
        "takeover_s": takeover.seconds,
    }
    write_report("broker-chaos", figures, command=f"python -m tests.bench.chaos_broker --seed {plan.seed}")
    holds = verdict.is_clean and not parked and takeover.seconds <= LONGEST_TAKEOVER_SECONDS
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
