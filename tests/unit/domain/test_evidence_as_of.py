"""Evidence as it was at an earlier moment: nothing that became known later is left in it."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.agents.evidence import (
    DailySeries,
    Dataset,
    Evidence,
    Governance,
    PostSample,
    Proposal,
    ScoredPost,
    end_of,
)
from alphapulse.domain.agents.hindsight import as_of
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import SignalInput

NOW = datetime(2024, 6, 1, tzinfo=UTC)
THEN = datetime(2024, 3, 10, 12, tzinfo=UTC)


def post(name: str, posted_at: datetime) -> ScoredPost:
    return ScoredPost(name, "reddit", "a", posted_at, 0.5, 40.0, name, 5, 0, 0)


def proposal(name: str, start: datetime, end: datetime) -> Proposal:
    return Proposal(name, start, end, "passed", 10.0, 2.0, 1.0, 5.0, 7, spends_treasury=True)


def daily(first: date, values: list[float]) -> DailySeries:
    days = tuple(first + timedelta(days=n) for n in range(len(values)))
    return DailySeries("fees_usd", days, np.array(values), "directory", NOW)


EVIDENCE = Evidence(
    "BTC-USD",
    Interval.DAY,
    NOW,
    on_chain={"fees_usd": daily(date(2024, 3, 8), [1.0, 2.0, 3.0, 4.0])},
    supply={
        "circulating_supply": SignalInput("circulating_supply", 2.0, NOW, "directory"),
        "max_supply": SignalInput("max_supply", 3.0, THEN, "directory"),
    },
    posts=PostSample((post("late", THEN + timedelta(1)), post("early", THEN)), "directory", NOW),
    governance=Governance(
        (
            proposal("later", THEN + timedelta(1), NOW),
            proposal("open", THEN - timedelta(1), THEN + timedelta(1)),
            proposal("ended", THEN - timedelta(9), THEN),
        ),
        eligible_votes=100.0,
        treasury_usd=daily(date(2024, 3, 9), [7.0, 8.0]),
        source="directory",
        retrieved_at=NOW,
    ),
)


def test_days_count_once_they_have_ended() -> None:
    then = as_of(EVIDENCE, THEN)

    assert list(then.on_chain["fees_usd"].values) == [1.0, 2.0]
    assert then.now == THEN


@given(st.integers(-5, 400))
def test_days_found_by_bisection_are_those_that_had_ended(hours: int) -> None:
    series = daily(date(2024, 3, 8), [float(n) for n in range(12)])
    moment = datetime(2024, 3, 8, tzinfo=UTC) + timedelta(hours=hours)

    assert series.until(moment).days == tuple(day for day in series.days if end_of(day) <= moment)


def test_posts_made_later_and_likes_counted_later_are_not_known() -> None:
    posts = as_of(EVIDENCE, THEN).posts
    assert posts is not None

    assert [(each.id, each.engagement) for each in posts.posts] == [("early", 0.0)]
    assert as_of(EVIDENCE, NOW).posts is EVIDENCE.posts


def test_a_vote_that_had_not_ended_is_active_and_has_no_result() -> None:
    governance = as_of(EVIDENCE, THEN).governance
    assert governance is not None

    active, ended = governance.proposals
    assert (active.id, active.state, active.votes, active.voters) == ("open", "active", 0.0, 0)
    assert (ended.id, ended.state, ended.votes) == ("ended", "passed", 13.0)
    assert governance.eligible_votes is None
    assert governance.treasury_usd is not None
    assert list(governance.treasury_usd.values) == [7.0]


def test_present_figures_dated_later_are_missing_with_a_reason() -> None:
    then = as_of(EVIDENCE, THEN)

    assert set(then.supply) == {"max_supply"}
    assert "present figures only" in then.why_missing(Dataset.SUPPLY)
