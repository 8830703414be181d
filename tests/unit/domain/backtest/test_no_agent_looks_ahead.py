"""Each of the six agents, with all kinds of data: what is altered later moves nothing said before."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from alphapulse.domain.agents.evidence import (
    DailySeries,
    Evidence,
    Governance,
    PostSample,
    Proposal,
    ScoredPost,
)
from alphapulse.domain.agents.registry import AGENT_NAMES, agent
from alphapulse.domain.backtest.walk import Verdict, verdicts
from alphapulse.domain.signals import SignalInput
from tests.unit.domain.backtest.markets import DAY, START, evidence_of, random_bars

BARS, CUT = 90, 60
MOMENT = START + CUT * DAY
LATER = datetime(2030, 1, 1, tzinfo=UTC)
SERIES = (
    *("price_usd", "market_cap_usd", "realised_cap_usd", "mvrv", "transfer_volume_usd"),
    *("active_addresses", "transactions", "fees_usd", "supply", "hash_rate"),
)


def series_of(name: str, seed: int) -> DailySeries:
    """Six years of a figure, until the end of the bars."""
    count = 6 * 365
    first = date(2024, 1, 1) + timedelta(days=BARS) - timedelta(days=count)
    walk = np.cumsum(np.random.default_rng(seed).normal(0.0, 0.02, count))
    days = tuple(first + timedelta(days=n) for n in range(count))
    return DailySeries(name, days, 1e9 * np.exp(walk), "directory", LATER)


def posts_of() -> PostSample:
    rng = np.random.default_rng(8)
    posts = [
        ScoredPost(
            f"p{n}",
            "reddit",
            f"author{n}",
            START + n * DAY / 12,
            float(rng.uniform(-1, 1)),
            5.0,
            f"f{n}",
            9,
            0,
            0,
        )
        for n in range(BARS * 12)
    ]
    return PostSample(tuple(reversed(posts)), "directory", LATER)


def governance_of() -> Governance:
    votes = [
        Proposal(
            f"v{n}",
            START + n * DAY,
            START + (n + 5) * DAY,
            "passed",
            60.0,
            30.0 + n,
            1.0,
            20.0,
            50,
            spends_treasury=False,
        )
        for n in range(-40, BARS, 3)
    ]
    return Governance(tuple(reversed(votes)), 500.0, series_of("treasury_usd", 3), "directory", LATER)


def everything() -> Evidence:
    return evidence_of(
        random_bars(BARS, seed=11),
        on_chain={name: series_of(name, seed) for seed, name in enumerate(SERIES)},
        supply={"max_supply": SignalInput("max_supply", 2.1e7, LATER, "directory")},
        posts=posts_of(),
        governance=governance_of(),
    )


def altered(whole: Evidence) -> Evidence:
    """The same evidence with everything after the moment turned around."""
    assert whole.bars is not None
    assert whole.posts is not None
    assert whole.governance is not None
    prices = whole.bars.series
    factor = np.where(np.arange(BARS) >= CUT, 0.2, 1.0)
    columns = {name: getattr(prices, name) * factor for name in ("open", "high", "low", "close", "volume")}
    posts = [
        replace(post, polarity=-post.polarity, engagement=900.0) if post.posted_at > MOMENT else post
        for post in whole.posts.posts
    ]
    votes = [
        replace(vote, state="defeated", votes_for=1.0, voters=1) if vote.ended_at > MOMENT else vote
        for vote in whole.governance.proposals
    ]
    return replace(
        whole,
        bars=replace(whole.bars, series=replace(prices, **columns)),
        on_chain={name: _turned(series) for name, series in whole.on_chain.items()},
        supply={"max_supply": replace(whole.supply["max_supply"], value=1.0)},
        posts=replace(whole.posts, posts=tuple(posts)),
        governance=replace(whole.governance, proposals=tuple(votes), eligible_votes=1.0),
    )


def _turned(series: DailySeries) -> DailySeries:
    first_unknown = MOMENT.date()
    factor = np.array([9.0 if day >= first_unknown else 1.0 for day in series.days])
    return replace(series, values=series.values * factor)


def said_by(name: str, evidence: Evidence) -> list[Verdict]:
    definition = agent(name)
    return verdicts(definition, definition.parameters(), evidence, first=0)


@pytest.mark.parametrize("name", AGENT_NAMES)
def test_what_comes_after_a_moment_moves_nothing_that_was_said_until_then(name: str) -> None:
    whole = everything()

    before, after = said_by(name, whole), said_by(name, altered(whole))

    assert before[:CUT] == after[:CUT]
    # The agent speaks at all, and what was altered does reach it once it is known.
    assert any(verdict.direction is not None for verdict in before[:CUT])
    assert before[CUT:] != after[CUT:]
