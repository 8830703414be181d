"""What an agent may read: everything it needs, gathered before, with sources and times.

Evidence is a value. The same evidence and parameters give the same signal, which is what a replay checks
and what lets a backtest run the very code that speaks live. Nothing in here is guessed: what a source did
not give is in ``missing`` with the reason, and a hole in a series is NaN.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

import numpy as np

from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import PriceSeries
from alphapulse.domain.signals import SignalInput

#: A source of this name replays history from files: how old its newest figure is does not matter.
REPLAY_SOURCE: Final = "directory"

#: How far the clocks of two machines may differ: one may have fetched what the other reads.
CLOCK_TOLERANCE: Final = timedelta(minutes=1)


class Dataset(StrEnum):
    """Kinds of data, each with sources of its own."""

    CANDLES = "candles"
    ON_CHAIN = "on_chain"
    SUPPLY = "supply"
    POSTS = "posts"
    GOVERNANCE = "governance"


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Closed candles.

    Attributes
    ----------
    series : PriceSeries
        Oldest first.
    interval : Interval
        Length of a bar.
    source : str
        Where they come from.
    """

    series: PriceSeries
    interval: Interval
    source: str

    @property
    def closed_at(self) -> datetime | None:
        """When the newest bar closed."""
        if not len(self.series):
            return None
        return self.series.open_times[-1] + timedelta(seconds=self.interval.seconds)

    def until(self, moment: datetime, *, newest: int | None = None) -> "Bars":
        """Return the bars that had closed by `moment`, or the newest of these."""
        last_open = moment - timedelta(seconds=self.interval.seconds)
        end = bisect_right(self.series.open_times, last_open)
        start = 0 if newest is None else max(end - newest, 0)
        return replace(self, series=self.series.between(start, end))


@dataclass(frozen=True, slots=True, eq=False)
class DailySeries:
    """One figure per day.

    Attributes
    ----------
    name : str
        The figure, in snake_case with its unit (``transfer_volume_usd``).
    days : tuple of date
        UTC, ascending; days may be missing.
    values : ndarray of float64, shape (n,)
        NaN where the source has no figure of a day.
    source : str
        Where it comes from.
    retrieved_at : datetime
        Aware, UTC.
    """

    name: str
    days: tuple[date, ...]
    values: FloatArray
    source: str
    retrieved_at: datetime

    def __len__(self) -> int:
        return len(self.days)

    @property
    def as_of(self) -> datetime | None:
        """End of the last day that has a finite figure; None when there is none."""
        finite = np.flatnonzero(np.isfinite(self.values))
        return end_of(self.days[int(finite[-1])]) if len(finite) else None

    def until(self, moment: datetime) -> "DailySeries":
        """Return the days that had ended by `moment`."""
        count = bisect_right(self.days, (moment.astimezone(UTC) - timedelta(days=1)).date())
        return replace(self, days=self.days[:count], values=self.values[:count])


@dataclass(frozen=True, slots=True)
class ScoredPost:
    """A post without its text: what scoring it found.

    Attributes
    ----------
    id : str
        The network's own.
    network : str
        ``reddit``, ``x``, ...
    author : str
        A hash; tells posts of one author, and not who it is.
    posted_at : datetime
        Aware, UTC.
    polarity : float
        In [-1, 1]; the scoring library's compound score.
    engagement : float
        Likes, votes and answers; at least 0.
    fingerprint : str
        Hash of the text without case, links, numbers and punctuation: alike for copies.
    words, links, tags : int
        Counts in the text; tags are # and $ marks.
    """

    id: str
    network: str
    author: str
    posted_at: datetime
    polarity: float
    engagement: float
    fingerprint: str
    words: int
    links: int
    tags: int


@dataclass(frozen=True, slots=True)
class PostSample:
    """Posts about an asset, newest first, and from where they come.

    Attributes
    ----------
    source : str
        The networks that answered, joined by ``+``; or ``directory`` or ``simulated``.
    missing : mapping of str to str
        Networks that did not answer, with the reason of each.
    """

    posts: tuple[ScoredPost, ...]
    source: str
    retrieved_at: datetime
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A governance proposal.

    Attributes
    ----------
    id : str
        The platform's own.
    started_at, ended_at : datetime
        Of the vote; aware, UTC.
    state : str
        ``pending``, ``active``, ``passed``, ``defeated``, ``cancelled``, or ``closed``: a vote that ended
        with a choice among options, none of which is for or against.
    votes_for, votes_against, votes_abstain : float
        Voting power.
    quorum : float or None
        Voting power that must take part.
    voters : int
        Accounts that voted.
    spends_treasury : bool or None
        Whether it moves treasury funds; None where the platform does not tell.
    """

    id: str
    started_at: datetime
    ended_at: datetime
    state: str
    votes_for: float
    votes_against: float
    votes_abstain: float
    quorum: float | None
    voters: int
    spends_treasury: bool | None

    @property
    def votes(self) -> float:
        """All voting power that took part."""
        return self.votes_for + self.votes_against + self.votes_abstain


@dataclass(frozen=True, slots=True)
class Governance:
    """Proposals about an asset, newest first.

    Attributes
    ----------
    eligible_votes : float or None
        Voting power there is, of which turnout is a share.
    treasury_usd : DailySeries or None
        What the treasury was worth, where a source tells.
    source : str
        The platforms that answered, joined by ``+``; or ``directory`` or ``simulated``.
    missing : mapping of str to str
        Platforms that did not answer, with the reason of each.
    """

    proposals: tuple[Proposal, ...]
    eligible_votes: float | None
    treasury_usd: DailySeries | None
    source: str
    retrieved_at: datetime
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything one agent reads about one symbol at one moment.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of the bars a run asks about.
    now : datetime
        The moment of the signal; aware, UTC.
    bars : Bars or None
        Candles.
    on_chain : mapping of name to DailySeries
        Of the base asset.
    supply : mapping of name to SignalInput
        Single present figures: market value, supply, holders.
    posts : PostSample or None
    governance : Governance or None
    missing : mapping of dataset, or ``dataset.source``, to str
        Why something is not there.
    """

    symbol: str
    interval: Interval
    now: datetime
    bars: Bars | None = None
    on_chain: Mapping[str, DailySeries] = field(default_factory=dict)
    supply: Mapping[str, SignalInput] = field(default_factory=dict)
    posts: PostSample | None = None
    governance: Governance | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def why_missing(self, dataset: Dataset) -> str:
        """Return the reason for abstaining that a missing dataset gives."""
        return self.missing.get(dataset.value, f"there is no {dataset.value.replace('_', '-')} data")

    def silent_sources(self, dataset: Dataset) -> Mapping[str, str]:
        """Return the sources of a dataset that gave nothing while others did, each with its reason."""
        prefix = f"{dataset.value}."
        return {key.removeprefix(prefix): why for key, why in self.missing.items() if key.startswith(prefix)}

    def why_figure_missing(self, dataset: Dataset, name: str) -> str:
        """Return why a figure is not there: a source that gave nothing might have had it."""
        if not (self.on_chain if dataset is Dataset.ON_CHAIN else self.supply):
            return self.why_missing(dataset)
        silent = sorted(self.silent_sources(dataset).items())
        return "; ".join((f"no source gives {name}", *(f"nothing from {one}: {why}" for one, why in silent)))


def is_stale(as_of: datetime, source: str, *, now: datetime, max_age: timedelta) -> bool:
    """Tell whether a figure is too old; a replay's never is."""
    return source != REPLAY_SOURCE and now - as_of > max_age


def is_ahead(as_of: datetime, source: str, *, now: datetime) -> bool:
    """Tell whether a figure is of later than the signal, by more than clocks differ; a replay's never is."""
    return source != REPLAY_SOURCE and as_of - now > CLOCK_TOLERANCE


def end_of(day: date) -> datetime:
    """Return the moment a UTC day ends, from which on its figures are complete."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def unit(value: float) -> float:
    """Return `value` limited to [-1, 1]; NaN is refused.

    Raises
    ------
    ValueError
        For NaN.
    """
    if math.isnan(value):
        raise ValueError("a score must be a number, was NaN")
    return min(1.0, max(-1.0, value))
