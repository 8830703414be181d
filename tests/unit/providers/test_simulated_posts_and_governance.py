"""The simulations: the same for the same seed, moving with the clock, and never telling of the future."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from alphapulse.domain.agents import activist, sentiment
from alphapulse.domain.agents.activist_parameters import ActivistParameters
from alphapulse.domain.agents.evidence import Evidence, Governance, PostSample
from alphapulse.domain.agents.sentiment_filter import Fault, sift
from alphapulse.domain.agents.sentiment_parameters import SentimentParameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Signal
from alphapulse.providers import governance, social
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.governance.simulated import SimulatedGovernance
from alphapulse.providers.social.simulated import SimulatedPosts
from alphapulse.providers.source import ProviderOptions, SourceContext, SourceKind
from alphapulse.tenancy.cache import CacheConnection

NOW = datetime(2026, 6, 15, 12, 34, 56, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def context_of(clock: Clock, seed: int = 7) -> SourceContext:
    options = ProviderOptions(kind=SourceKind.SIMULATED, seed=seed)
    return SourceContext(options, CacheConnection(None), clock=clock)


def steps(clock: Clock, step: timedelta, count: int) -> Iterator[datetime]:
    for _ in range(count):
        yield clock.now
        clock.now += step


async def test_posts_are_the_same_for_the_same_seed_and_others_for_another(clock: Clock) -> None:
    first = await SimulatedPosts(context_of(clock)).fetch("BTC")
    again = await SimulatedPosts(context_of(clock)).fetch("BTC")
    other = await SimulatedPosts(context_of(clock, seed=8)).fetch("BTC")

    assert first == again
    assert first.source == "simulated"
    assert not {post.id for post in first.posts} & {post.id for post in other.posts}


async def test_posts_go_with_the_clock_and_never_ahead_of_it(clock: Clock) -> None:
    source = SimulatedPosts(context_of(clock))
    samples = [await source.fetch("ETH") for _ in steps(clock, timedelta(minutes=10), 20)]

    for earlier, later in pairwise(samples):
        assert max(post.posted_at for post in later.posts) <= later.retrieved_at
        shared = {post for post in later.posts if post.posted_at <= earlier.retrieved_at}
        assert shared <= set(earlier.posts)
    assert samples[0].posts != samples[-1].posts


async def test_who_asks_within_the_same_minutes_gets_the_same_answer(clock: Clock) -> None:
    posts, votes = SimulatedPosts(context_of(clock)), SimulatedGovernance(context_of(clock))
    clock.now = datetime(2026, 6, 15, 12, 31, tzinfo=UTC)
    before = [await posts.fetch("ADA"), await votes.fetch("ADA")]
    clock.now += timedelta(minutes=3)
    after = [await posts.fetch("ADA"), await votes.fetch("ADA")]

    assert [answer.retrieved_at.minute for answer in before] == [30, 30]
    assert all(one is other for one, other in zip(before, after, strict=True))


async def test_several_who_ask_at_once_about_several_assets_all_get_an_answer(clock: Clock) -> None:
    source = SimulatedPosts(context_of(clock))

    samples = await asyncio.gather(*(source.fetch(asset) for asset in ("BTC", "ETH", "ADA", "SOL") * 3))

    assert [len(sample.posts) for sample in samples[:4]] == [len(sample.posts) for sample in samples[8:]]


async def test_posts_hold_spam_copies_and_bursts(clock: Clock) -> None:
    source = SimulatedPosts(context_of(clock))
    faults: Counter[Fault] = Counter()
    sizes = []
    for now in steps(clock, timedelta(days=2), 6):
        posts = (await source.fetch("BTC")).posts
        faults += sift(posts, now, SentimentParameters()).faults
        by_hour = Counter(post.posted_at.replace(minute=0, second=0) for post in posts)
        sizes += list(by_hour.values())

    assert min(faults[Fault.TAGS], faults[Fault.COPY], faults[Fault.AUTHOR]) > 5
    assert max(sizes) > 3 * sum(sizes) / len(sizes)


async def test_agent_speaks_about_simulated_posts_and_changes_its_mind(clock: Clock) -> None:
    source = SimulatedPosts(context_of(clock))
    scores = []
    for now in steps(clock, timedelta(days=5), 9):
        evidence = Evidence("BTC-USDT", Interval.HOUR, now, posts=await source.fetch("BTC"))
        said = sentiment.speak(evidence, SentimentParameters())
        assert isinstance(said, Signal)
        assert {item.source for item in said.inputs} == {"simulated"}
        scores.append(said.score)

    assert max(scores) - min(scores) > 0.4


async def test_hours_that_are_over_are_not_kept_for_ever(clock: Clock) -> None:
    source = SimulatedPosts(context_of(clock))
    for _ in steps(clock, timedelta(days=1), 4):
        await source.fetch("BTC")
        await source.fetch("ETH")

    assert sum(map(len, source._made.values())) <= 2 * 50


async def test_assets_without_simulated_candles_have_no_simulated_posts(clock: Clock) -> None:
    source = SimulatedPosts(context_of(clock))

    assert not source.covers("NOPE")
    with pytest.raises(AssetUnknown, match="NOPE is not simulated"):
        await source.fetch("NOPE")


async def test_governance_is_the_same_for_the_same_seed_and_another_for_another(clock: Clock) -> None:
    first = await SimulatedGovernance(context_of(clock)).fetch("UNI")
    again = await SimulatedGovernance(context_of(clock)).fetch("UNI")
    other = await SimulatedGovernance(context_of(clock, seed=8)).fetch("UNI")

    assert (first.proposals, first.source) == (again.proposals, "simulated")
    assert first.proposals != other.proposals


async def test_votes_come_in_while_a_vote_runs_and_outcomes_follow_its_end(clock: Clock) -> None:
    source = SimulatedGovernance(context_of(clock))
    seen: dict[str, list[tuple[str, float]]] = {}
    for now in steps(clock, timedelta(hours=12), 40):
        found = await source.fetch("UNI")
        for proposal in found.proposals:
            assert proposal.started_at <= now
            assert (proposal.state == "active") == (proposal.ended_at > found.retrieved_at)
            seen.setdefault(proposal.id, []).append((proposal.state, proposal.votes))

    for course in seen.values():
        votes = [count for _, count in course]
        assert votes == sorted(votes)
        ended = [state for state, _ in course if state != "active"]
        assert len(set(ended)) <= 1
    assert any({state for state, _ in course} == {"active", "passed"} for course in seen.values())


async def test_values_of_a_treasury_stay_as_they_were(clock: Clock) -> None:
    first = (await SimulatedGovernance(context_of(clock)).fetch("UNI")).treasury_usd
    clock.now += timedelta(days=30)
    later = (await SimulatedGovernance(context_of(clock)).fetch("UNI")).treasury_usd

    assert first is not None
    assert later is not None
    assert later.values[:-30].tolist() == first.values[30:].tolist()
    assert later.days[-1] == clock.now.date() - timedelta(days=1)


async def test_agent_speaks_about_simulated_governance(clock: Clock) -> None:
    source = SimulatedGovernance(context_of(clock))
    scores = []
    for now in steps(clock, timedelta(days=30), 12):
        evidence = Evidence("UNI-USDT", Interval.DAY, now, governance=await source.fetch("UNI"))
        said = activist.speak(evidence, ActivistParameters())
        if isinstance(said, Signal):
            scores.append(said.score)

    assert len(scores) > 6
    assert min(scores) < 0 < max(scores)


@pytest.mark.parametrize("asset", ["BTC", "ETH", "LTC"])
async def test_assets_whose_holders_do_not_vote_have_none_simulated_either(clock: Clock, asset: str) -> None:
    asked = [source for source in governance.sources(context_of(clock)) if source.covers(asset)]

    assert [source.name for source in asked] == ["without_votes"]
    with pytest.raises(AssetUnknown, match=f"holders of {asset} do not vote on proposals"):
        await asked[0].fetch(asset)


def test_merged_sample_is_as_old_as_its_oldest_part_and_names_what_is_missing() -> None:
    parts = [
        PostSample((), "reddit", NOW, {"a": "why"}),
        PostSample((), "x", NOW - timedelta(minutes=4)),
    ]

    merged = social.merge(parts, {"b": "because"})

    assert (merged.source, merged.retrieved_at) == ("reddit+x", NOW - timedelta(minutes=4))
    assert dict(merged.missing) == {"a": "why", "b": "because"}


def test_merged_governance_takes_the_first_treasury_and_eligible_votes() -> None:
    parts = [
        Governance((), None, None, "snapshot", NOW),
        Governance((), 5.0, None, "tally", NOW),
        Governance((), 7.0, None, "other", NOW),
    ]

    merged = governance.merge(parts, {})

    assert (merged.eligible_votes, merged.treasury_usd, merged.source) == (5.0, None, "snapshot+tally+other")
