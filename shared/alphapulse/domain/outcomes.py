"""When and with which prices a signal is scored.

The price of a moment is the close of the last bar that had closed then, and counts only if that bar closed
less than one interval before: otherwise one that should have closed since is not there, and the price would
be that of an earlier moment. A bar that may still change does not count either. Until the prices are there a
signal waits, up to its patience; then it is unscorable, with the reason.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Direction
from alphapulse.domain.track_record import ImpossibleReturn, Score, score

_SHORTEST_PATIENCE: Final = timedelta(hours=6)
_PATIENCE_INTERVALS: Final = 3
_SHORTEST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=1)


class LooksAhead(ValueError):
    """A price that was not known at its moment."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A signal as something that can turn out right or wrong.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Of the bars that price it.
    direction : Direction
        What it said.
    confidence : float
        In [0, 1].
    made_at, horizon_at : datetime
        Aware, UTC; the horizon is later.
    """

    symbol: str
    interval: Interval
    direction: Direction
    confidence: float
    made_at: datetime
    horizon_at: datetime


@dataclass(frozen=True, slots=True)
class Close:
    """The close of the last bar that had closed at some moment.

    Attributes
    ----------
    price : Decimal
        Positive.
    closed_at : datetime
        Aware, UTC.
    source : str
        Where the bar comes from.
    final : bool
        Whether it was stored after it had closed, so that it does not change any more.
    """

    price: Decimal
    closed_at: datetime
    source: str
    final: bool


@dataclass(frozen=True, slots=True)
class Scored:
    """A signal with its score, and the prices anyone can check it with."""

    score: Score
    at_signal: Close
    at_horizon: Close


@dataclass(frozen=True, slots=True)
class Unscorable:
    """A signal that will never have a score, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A signal whose prices may still come; it is looked at again then."""

    until: datetime


def patience(interval: Interval) -> timedelta:
    """Return how long after its horizon a signal waits for bars: three of them, at least 6 hours."""
    return max(_SHORTEST_PATIENCE, _PATIENCE_INTERVALS * timedelta(seconds=interval.seconds))


def judge(
    claim: Claim, at_signal: Close | None, at_horizon: Close | None, *, now: datetime, replay: bool = False
) -> Scored | Unscorable | Waiting:
    """Return what is to become of a signal whose horizon has passed.

    Parameters
    ----------
    claim
        The signal.
    at_signal, at_horizon
        Closes of the last bars that had closed at the signal and at its horizon; None when there is none.
    now
        Aware, UTC; not before the horizon.
    replay
        Whether the bars are history out of files: what they lack at the signal never comes.

    Raises
    ------
    LooksAhead
        A bar closed after its moment, or the horizon has not passed.
    """
    if now < claim.horizon_at:
        raise LooksAhead(f"the horizon is {claim.horizon_at}, it is {now}")
    priced = _usable(at_signal, claim.made_at, claim.interval)
    ended = _usable(at_horizon, claim.horizon_at, claim.interval)
    if priced and ended:
        return _scored(claim, priced, ended)
    lacking = _lack(claim, "the signal", claim.made_at, at_signal)
    if priced:
        lacking = _lack(claim, "its horizon", claim.horizon_at, at_horizon)
    if replay and not priced:
        return Unscorable(f"the candles are a replay of history: {lacking}")
    gives_up_at = claim.horizon_at + patience(claim.interval)
    if now >= gives_up_at:
        return Unscorable(lacking)
    pause = timedelta(seconds=claim.interval.seconds) / 4
    return Waiting(min(gives_up_at, now + min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, pause))))


def _usable(close: Close | None, moment: datetime, interval: Interval) -> Close | None:
    if close is None:
        return None
    if close.closed_at > moment:
        raise LooksAhead(f"a bar that closed at {close.closed_at} was not known at {moment}")
    recent = moment - close.closed_at < timedelta(seconds=interval.seconds)
    return close if close.final and recent else None


def _scored(claim: Claim, priced: Close, ended: Close) -> Scored | Unscorable:
    if priced.source != ended.source:
        return Unscorable(f"the prices are of different sources, {priced.source} and {ended.source}")
    try:
        reached = score(
            claim.direction,
            claim.confidence,
            signal_price=priced.price,
            horizon_price=ended.price,
            horizon=claim.horizon_at - claim.made_at,
        )
    except ImpossibleReturn as error:
        return Unscorable(str(error))
    return Scored(reached, priced, ended)


def _lack(claim: Claim, what: str, moment: datetime, close: Close | None) -> str:
    bars = f"{claim.symbol} {claim.interval}"
    if close is None:
        return f"there is no bar of {bars} that had closed at {what}, {_text(moment)}"
    if moment - close.closed_at < timedelta(seconds=claim.interval.seconds):
        return f"the bar of {bars} that closed before {what}, {_text(moment)}, was never completed"
    return f"the last bar of {bars} before {what}, {_text(moment)}, closed at {_text(close.closed_at)}"


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
