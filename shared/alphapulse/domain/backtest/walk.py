"""What an agent would have said at the close of each bar, from what was known then."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.hindsight import as_of
from alphapulse.domain.signals import Abstention, Direction, Signal

#: Called with what is done and what there is to do; it stops a walk by raising.
Tick = Callable[[int, int], None]

_TICK_EVERY: Final = 32
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?")
_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?(?!\w)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an agent said at a bar's close.

    Attributes
    ----------
    direction : Direction or None
        None when it abstained.
    score, confidence : float or None
        As the signal has them.
    reason : str or None
        Of an abstention.
    """

    direction: Direction | None
    score: float | None = None
    confidence: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AbstentionCount:
    """How often an agent abstained for a reason.

    Attributes
    ----------
    reason : str
        With numbers and moments replaced by an ellipsis, so that alike reasons count together.
    count : int
        Bars.
    first_at, last_at : datetime
        Closes of the first and the last of them.
    example : str
        The first reason as it was given.
    """

    reason: str
    count: int
    first_at: datetime
    last_at: datetime
    example: str


def no_tick(_done: int, _all: int) -> None:
    """Watch nothing."""


def verdicts(
    definition: AgentDefinition, parameters: Any, whole: Evidence, *, first: int, tick: Tick = no_tick
) -> list[Verdict]:
    """Ask an agent at the close of each bar.

    Parameters
    ----------
    definition : AgentDefinition
        Its `speak` is what live signals come from.
    parameters : Parameters
        Of the agent.
    whole : Evidence
        Everything there is, past and future; each question gets it :func:`.as_of` its moment.
    first : int
        Position of the first bar to ask at; earlier ones are history.
    tick : callable
        Progress, every 32 bars and at the end.

    Returns
    -------
    list of Verdict
        One per bar from `first` on.
    """
    if whole.bars is None:
        raise ValueError("a backtest needs candles, also for an agent that reads none")
    needed = definition.bars(parameters)
    source = whole if needed else replace(whole, bars=None)
    length = timedelta(seconds=whole.bars.interval.seconds)
    open_times = whole.bars.series.open_times[first:]
    said = []
    for done, open_time in enumerate(open_times):
        if done % _TICK_EVERY == 0:
            tick(done, len(open_times))
        evidence = as_of(source, open_time + length, bars=needed)
        said.append(_verdict(definition.speak(evidence, parameters)))
    tick(len(open_times), len(open_times))
    return said


def count_abstentions(said: Sequence[Verdict], closes: Sequence[datetime]) -> list[AbstentionCount]:
    """Count abstentions by reason, the most frequent first."""
    counts: dict[str, AbstentionCount] = {}
    for verdict, at in zip(said, closes, strict=True):
        if verdict.reason is None:
            continue
        kind = _NUMBER.sub("…", _MOMENT.sub("…", verdict.reason))
        known = counts.get(kind) or AbstentionCount(kind, 0, at, at, verdict.reason)
        counts[kind] = replace(known, count=known.count + 1, last_at=at)
    return sorted(counts.values(), key=lambda each: (-each.count, each.reason))


def _verdict(spoken: Signal | Abstention) -> Verdict:
    if isinstance(spoken, Abstention):
        return Verdict(None, reason=spoken.reason)
    return Verdict(spoken.signal, spoken.score, spoken.confidence)
