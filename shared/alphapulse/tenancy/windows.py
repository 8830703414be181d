"""The arithmetic of rate limits, as `lua/take.lua` does it, for when there is no Redis to do it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

MINUTE_SECONDS, DAY_SECONDS = 60, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much one caller may ask for.

    Attributes
    ----------
    key : str
        Name of its counts in Redis.
    per_minute : int
        Requests in a minute.
    per_day : int or None
        Requests in a day, UTC; None is unlimited.
    counts_days : bool
        Whether requests of a day are counted at all.
    """

    key: str
    per_minute: int
    per_day: int | None = None
    counts_days: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is left of an allowance.

    Attributes
    ----------
    remaining : int
        Requests that may follow at once.
    reset_seconds : float
        To the end of the minute; until it stops refusing, if it does.
    calls_today : int
        Requests of the UTC day.
    day_spent : bool
        The day's allowance is used up.
    """

    remaining: int
    reset_seconds: float
    calls_today: int
    day_spent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a request is let through, and what is left of each allowance asked for it.

    Attributes
    ----------
    refusing : int or None
        Index of the allowance that refuses.
    counted : bool
        False when it was judged by this process alone.
    """

    refusing: int | None
    allowances: Sequence[Allowance]
    standings: Sequence[Standing]
    counted: bool = True


@dataclass(slots=True)
class Counts:
    """Requests of a minute and the one before, of a day and the one before."""

    minute: int = -1
    current: int = 0
    previous: int = 0
    day: int = -1
    today: int = 0

    def move_to(self, seconds: float) -> float:
        """Bring the counts to a moment and return the seconds of its minute that have passed."""
        minute, day = int(seconds // MINUTE_SECONDS), int(seconds // DAY_SECONDS)
        into = seconds - minute * MINUTE_SECONDS
        if self.minute > minute:
            into = 0.0  # the clock was put back; the minute it was in goes on
        elif self.minute < minute:
            self.previous = self.current if self.minute == minute - 1 else 0
            self.minute, self.current = minute, 0
        if self.day < day:
            self.day, self.today = day, 0
        return into


def take(counts: Sequence[Counts], allowances: Sequence[Allowance], *, seconds: float) -> Verdict:
    """Take one request from each allowance, or from none of them.

    Parameters
    ----------
    counts
        One per allowance; changed in place.
    seconds
        Since 1970.
    """
    passed = [own.move_to(seconds) for own in counts]
    found = [
        _judge(own, allowance, into=into, seconds=seconds)
        for own, allowance, into in zip(counts, allowances, passed, strict=True)
    ]
    refusing = next((i for i, (_, wait) in enumerate(found) if wait is not None), None)
    taken = int(refusing is None)
    standings = []
    for own, allowance, into, (used, wait) in zip(counts, allowances, passed, found, strict=True):
        own.current += taken
        if allowance.counts_days:
            own.today += taken
        standings.append(
            Standing(
                remaining=max(0, math.floor(allowance.per_minute - used - taken)),
                reset_seconds=MINUTE_SECONDS - into if wait is None else wait,
                calls_today=own.today,
                day_spent=_spent(own, allowance, before=taken),
            )
        )
    return Verdict(refusing=refusing, allowances=allowances, standings=standings, counted=False)


def _judge(
    counts: Counts, allowance: Allowance, *, into: float, seconds: float
) -> tuple[float, float | None]:
    """Return what is used of the minute, and how long to wait if it is too much."""
    most, current, previous = allowance.per_minute, counts.current, counts.previous
    used = current + previous * (1 - into / MINUTE_SECONDS)
    if _spent(counts, allowance, before=0):
        return used, (counts.day + 1) * DAY_SECONDS - seconds
    if used + 1 <= most:
        return used, None
    if current + 1 > most:
        # Not before this minute's requests are the ones of the minute before.
        return used, MINUTE_SECONDS - into + MINUTE_SECONDS * (1 - (most - 1) / current)
    return used, MINUTE_SECONDS * (1 - (most - current - 1) / previous) - into


def _spent(counts: Counts, allowance: Allowance, *, before: int) -> bool:
    if not allowance.counts_days or allowance.per_day is None:
        return False
    return counts.today - before >= allowance.per_day
