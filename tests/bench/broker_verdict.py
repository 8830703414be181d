"""Compares what was accepted with what was delivered, and finds out why something came twice."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

NANOSECONDS = 1_000_000_000
# A delivery that came twice was under way when something died: at most so long before or after. Longer than
# the subscriber's work, since answers given while Redis is down are settled when it is back.
BEFORE_NS = 200_000_000
AFTER_NS = 3 * NANOSECONDS
SENDER = "sender repeated"
UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Kill:
    """A process that was killed, and when it was up again."""

    victim: str
    at_ns: int
    back_ns: int

    @property
    def down_seconds(self) -> float:
        """Time until it was ready again: starting and loading its data included."""
        return (self.back_ns - self.at_ns) / NANOSECONDS


@dataclass(frozen=True)
class Delivery:
    """One line of the recorder."""

    trigger: str
    event_id: str
    at_ns: int


@dataclass(frozen=True)
class Verdict:
    """What became of the events: ids per trigger, and counts."""

    expected: Mapping[str, set[str]]
    delivered: Mapping[str, set[str]]
    lost: Mapping[str, set[str]]
    wrong: Mapping[str, set[str]]
    duplicates: Mapping[str, int]
    reasons: Counter[str]
    longest_gap_seconds: Mapping[str, float]
    longest_resume_seconds: Mapping[str, float]
    longest_way_seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether nothing is lost, nothing went astray and each duplicate has its reason."""
        return not (any(self.lost.values()) or any(self.wrong.values()) or self.reasons[UNEXPLAINED])


def recorded(file: Path) -> list[Delivery]:
    """Return the recorder's deliveries in the order of their arrival."""
    found = [line.split() for line in file.read_text().splitlines()]
    deliveries = [Delivery(trigger, event_id, int(at)) for trigger, event_id, at in found]
    return sorted(deliveries, key=lambda delivery: delivery.at_ns)


def judge(
    expected: Mapping[str, set[str]],
    deliveries: Sequence[Delivery],
    *,
    kills: Sequence[Kill],
    repeated: set[str],
    accepted: Mapping[str, int],
) -> Verdict:
    """Return the verdict.

    Parameters
    ----------
    repeated
        Ids that the sender sent more than once, for want of an answer.
    accepted
        When each event was accepted.
    """
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    delivered: dict[str, set[str]] = {name: set() for name in expected}
    for delivery in deliveries:
        times[delivery.trigger, delivery.event_id].append(delivery.at_ns)
        delivered.setdefault(delivery.trigger, set()).add(delivery.event_id)
    duplicates = Counter[str]()
    reasons = Counter[str]()
    for (trigger, event_id), moments in times.items():
        for earlier in moments[:-1]:
            duplicates[trigger] += 1
            reasons[_reason(event_id.removeprefix("reply-to-"), earlier, kills, repeated)] += 1
    return Verdict(
        expected=expected,
        delivered=delivered,
        lost={name: ids - delivered[name] for name, ids in expected.items()},
        wrong={name: ids - expected.get(name, set()) for name, ids in delivered.items()},
        duplicates=duplicates,
        reasons=reasons,
        longest_gap_seconds=_longest_gaps(
            [delivery.at_ns for delivery in deliveries], kills, until_ns=max(accepted.values())
        ),
        longest_resume_seconds=_longest_resumes([delivery.at_ns for delivery in deliveries], kills),
        longest_way_seconds=max(
            (moments[0] - accepted[event_id]) / NANOSECONDS
            for (_, event_id), moments in times.items()
            if event_id in accepted
        ),
    )


def _reason(event_id: str, at_ns: int, kills: Sequence[Kill], repeated: set[str]) -> str:
    if event_id in repeated:
        return SENDER
    near = [kill for kill in kills if at_ns - BEFORE_NS <= kill.at_ns and kill.at_ns <= at_ns + AFTER_NS]
    if not near:
        return UNEXPLAINED
    return min(near, key=lambda kill: abs(kill.at_ns - at_ns)).victim


def _longest_gaps(moments: Sequence[int], kills: Sequence[Kill], *, until_ns: int) -> dict[str, float]:
    """Return per victim the longest silence of all triggers together around a kill.

    Only until the last event was accepted: afterwards there may be nothing left but what waits for its
    takeover.
    """
    longest: dict[str, float] = {}
    for kill in kills:
        silences = [
            min(later, until_ns) - earlier
            for earlier, later in pairwise(moments)
            if later >= kill.at_ns and earlier <= min(kill.back_ns, until_ns)
        ]
        seconds = max(silences, default=0) / NANOSECONDS
        longest[kill.victim] = max(longest.get(kill.victim, 0.0), seconds)
    return longest


def _longest_resumes(moments: Sequence[int], kills: Sequence[Kill]) -> dict[str, float]:
    """Return per victim the longest time from its being back to the next delivery.

    A kill that is followed by another before that delivery says nothing of its own victim.
    """
    longest: dict[str, float] = {}
    for kill in kills:
        following = next((moment for moment in moments if moment >= kill.back_ns), None)
        if following is None or any(kill.back_ns <= other.at_ns <= following for other in kills):
            continue
        seconds = (following - kill.back_ns) / NANOSECONDS
        longest[kill.victim] = max(longest.get(kill.victim, 0.0), seconds)
    return longest
