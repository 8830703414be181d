import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.agents.evidence import Evidence, PostSample, ScoredPost
from alphapulse.domain.agents.parameters import InvalidParameters
from alphapulse.domain.agents.sentiment import AGENT_VERSION, DEFINITION, speak
from alphapulse.domain.agents.sentiment_parameters import SentimentParameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Abstention, Direction, Signal, signal_document

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def post(number: int, polarity: float = 0.5, *, age_hours: float = 1.0, **other: object) -> ScoredPost:
    facts: dict[str, object] = {
        "id": f"p{number}",
        "network": "reddit",
        "author": f"author-{number}",
        "posted_at": NOW - timedelta(hours=age_hours),
        "polarity": polarity,
        "engagement": 10.0,
        "fingerprint": f"text-{number}",
        "words": 20,
        "links": 0,
        "tags": 1,
    }
    return ScoredPost(**(facts | other))  # type: ignore[arg-type]


def crowd(polarity: float = 0.5, size: int = 40, **other: object) -> list[ScoredPost]:
    return [post(number, polarity, age_hours=number / 10, **other) for number in range(size)]


def judge(
    posts: Sequence[ScoredPost],
    parameters: SentimentParameters | None = None,
    *,
    source: str = "reddit",
    retrieved_at: datetime = NOW,
    now: datetime = NOW,
    missing: dict[str, str] | None = None,
) -> Signal | Abstention:
    sample = PostSample(tuple(posts), source, retrieved_at, missing or {})
    evidence = Evidence("BTC-USDT", Interval.HOUR, now, posts=sample)
    return speak(evidence, parameters or SentimentParameters())


def spoken(posts: Sequence[ScoredPost], parameters: SentimentParameters | None = None) -> Signal:
    signal = judge(posts, parameters)
    assert isinstance(signal, Signal), signal
    return signal


def refused(posts: Sequence[ScoredPost], parameters: SentimentParameters | None = None) -> str:
    abstention = judge(posts, parameters)
    assert isinstance(abstention, Abstention), abstention
    return abstention.reason


def test_glad_posts_buy_and_angry_posts_sell_and_usual_ones_hold() -> None:
    assert spoken(crowd(0.4)).signal is Direction.BUY
    assert spoken(crowd(-0.4)).signal is Direction.SELL
    usual = spoken(crowd(0.05))
    assert (usual.signal, usual.score) == (Direction.HOLD, 0.0)


def test_posts_that_scoring_cannot_read_are_no_reason_to_sell() -> None:
    unread = crowd(0.0)
    few = [post(number, 0.5 if number < 7 else 0.0) for number in range(40)]
    enough = [post(number, 0.5 if number < 8 else 0.0) for number in range(40)]

    assert refused(unread) == "0% of 40 posts have a polarity other than 0, 20% is needed"
    assert refused(few) == "18% of 40 posts have a polarity other than 0, 20% is needed"
    assert isinstance(judge(enough), Signal)


def test_score_is_the_distance_from_the_usual_polarity() -> None:
    parameters = SentimentParameters(usual_polarity=0.1, full_polarity=0.4)

    assert spoken(crowd(0.3), parameters).score == pytest.approx(0.5)
    assert spoken(crowd(0.9), parameters).score == 1.0


def test_signal_names_version_time_inputs_and_their_source() -> None:
    signal = spoken(crowd())

    assert (signal.agent, signal.agent_version, signal.generated_at) == ("sentiment", AGENT_VERSION, NOW)
    assert [item.name for item in signal.inputs] == [
        "posts_considered",
        "posts_counted",
        "authors",
        "spam_share",
        "mean_polarity",
        "polarity_spread",
        "effective_posts",
    ]
    assert {(item.source, item.as_of) for item in signal.inputs} == {("reddit", NOW)}


def test_weight_halves_with_every_half_life() -> None:
    old = [post(number, -0.5, age_hours=24.0) for number in range(20)]
    new = [post(number, 0.5, age_hours=0.0) for number in range(20, 40)]
    parameters = SentimentParameters(half_life_hours=12, usual_polarity=0, full_polarity=1)

    # 20 posts of weight 1 at +0.5 and 20 of weight 1/4 at -0.5.
    assert spoken(old + new, parameters).score == pytest.approx(0.5 * (1 - 0.25) / (1 + 0.25))


def test_effective_posts_follow_kish() -> None:
    old = [post(number, 0.2, age_hours=24.0) for number in range(20)]
    new = [post(number, 0.2, age_hours=0.0) for number in range(20, 40)]

    signal = spoken(old + new, SentimentParameters(half_life_hours=12))

    figures = {item.name: item.value for item in signal.inputs}
    assert figures["effective_posts"] == pytest.approx((20 + 20 / 4) ** 2 / (20 + 20 / 16))


def test_engagement_weighs_by_its_logarithm_up_to_the_cap() -> None:
    parameters = SentimentParameters(
        engagement_cap=99.0, engagement_gain=3.0, usual_polarity=0, full_polarity=1, half_life_hours=24
    )
    silent = [post(number, 0.0, age_hours=0.0, engagement=0.0) for number in range(10)]

    def mean_beside(engagement: float) -> float:
        loud = [post(number, 1.0, age_hours=0.0, engagement=engagement) for number in range(10, 20)]
        return spoken(silent + loud, parameters).score

    assert mean_beside(0) == pytest.approx(0.5)
    # log(1 + 9) is half of log(1 + 99): the weight is 1 + 3 / 2.
    assert mean_beside(9) == pytest.approx(2.5 / 3.5)
    assert mean_beside(99) == pytest.approx(4 / 5)
    assert mean_beside(1e12) == mean_beside(99)


def test_copies_by_many_authors_weigh_like_one_post() -> None:
    honest = crowd(-0.3, 30)
    campaign = [post(100 + number, 1.0, age_hours=0.5, fingerprint="buy now") for number in range(25)]

    signal = spoken(honest + campaign)

    assert signal.score == spoken([*honest, campaign[0]]).score
    assert "24 that copy another" in " ".join(signal.reasons)


def test_of_copies_the_earliest_counts_so_that_repeating_renews_nothing() -> None:
    first = post(100, 1.0, age_hours=40.0, fingerprint="same")
    again = [post(101 + number, 1.0, age_hours=0.0, fingerprint="same") for number in range(5)]

    assert spoken([*crowd(0.1), first, *again]).score == spoken([*crowd(0.1), first]).score


def test_author_counts_with_the_newest_few_posts_only() -> None:
    flood = [post(100 + number, -1.0, age_hours=number / 2, author="one") for number in range(10)]

    signal = spoken(crowd(0.1) + flood)

    assert signal.score == spoken(crowd(0.1) + flood[:3]).score
    assert "7 beyond the 3 newest of their author" in " ".join(signal.reasons)


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ({"tags": 7}, "10 with more than 6 tags"),
        ({"links": 3}, "10 with more than 2 links"),
        ({"words": 3}, "10 of less than 4 words"),
    ],
)
def test_spam_is_left_out_and_named(flaw: dict[str, object], words: str) -> None:
    spam = [replace(post(100 + number, 1.0), **flaw) for number in range(10)]  # type: ignore[arg-type]

    signal = spoken(crowd(0.1) + spam)

    assert signal.score == spoken(crowd(0.1)).score
    assert f"posts left out: {words}" in signal.reasons


def test_sample_that_is_mostly_spam_abstains() -> None:
    spam = [post(100 + number, 1.0, links=9) for number in range(160)]

    assert refused(crowd(size=40) + spam) == (
        "80% of 200 posts are spam or copies, at most 70% are tolerated"
    )


def test_same_post_given_twice_counts_once_and_is_no_spam() -> None:
    posts = crowd()

    signal = spoken(posts + posts)

    assert signal.score == spoken(posts).score
    assert {item.name: item.value for item in signal.inputs}["spam_share"] == 0
    assert "posts left out: 40 given twice" in signal.reasons


def test_few_authors_abstain_with_both_numbers() -> None:
    posts = [post(number, author=f"author-{number % 3}") for number in range(9)]

    assert refused(posts) == "needs posts of 8 authors, found 3"


def test_few_effective_posts_abstain_with_both_numbers() -> None:
    assert refused(crowd(size=9), SentimentParameters(min_effective_posts=20)).startswith(
        "needs 20 effective posts, found 9"
    )


def test_no_posts_and_only_old_posts_abstain() -> None:
    assert refused([]) == "there are no posts of the last 48 hours"
    assert refused([post(1, age_hours=49.0)]) == refused([])


def test_missing_dataset_abstains_with_the_reason_it_is_missing() -> None:
    evidence = Evidence("BTC-USDT", Interval.HOUR, NOW, missing={"posts": "reddit did not answer"})

    spoken_or_not = speak(evidence, SentimentParameters())

    assert isinstance(spoken_or_not, Abstention)
    assert spoken_or_not.reason == "reddit did not answer"


def test_old_sample_abstains_and_a_replay_is_never_old() -> None:
    late = NOW + timedelta(days=400)

    abstention = judge(crowd(), now=late)
    replayed = judge(crowd(), now=late, source="directory")

    assert isinstance(abstention, Abstention)
    assert abstention.reason.startswith(f"the posts were retrieved at {NOW.isoformat()}, before ")
    assert isinstance(replayed, Signal)
    assert replayed.score == spoken(crowd()).score


def test_posts_after_the_moment_of_the_signal_change_nothing() -> None:
    posts = crowd(0.2)
    later = [replace(item, id=f"later-{item.id}", posted_at=NOW + timedelta(hours=1)) for item in posts]

    for source in ("reddit", "directory"):
        assert judge(posts + later, source=source) == judge(posts, source=source)


def test_network_that_did_not_answer_is_named_and_lowers_confidence() -> None:
    whole = judge(crowd())
    partial = judge(crowd(), missing={"x": "no key is set for x"})

    assert isinstance(whole, Signal)
    assert isinstance(partial, Signal)
    assert "no posts from x: no key is set for x" in partial.reasons
    assert partial.confidence == pytest.approx(0.8 * whole.confidence, abs=1e-6)


def test_network_missing_from_the_evidence_counts_like_one_missing_from_the_sample() -> None:
    sample = PostSample(tuple(crowd()), "reddit", NOW)
    evidence = Evidence("BTC-USDT", Interval.HOUR, NOW, posts=sample, missing={"posts.x": "no key"})

    assert speak(evidence, SentimentParameters()) == judge(crowd(), missing={"x": "no key"})


def test_more_and_more_agreeing_posts_give_more_confidence() -> None:
    few, many = spoken(crowd(0.3, 10)), spoken(crowd(0.3, 200))
    torn = spoken([*crowd(0.9, 20), *[post(50 + number, -0.9) for number in range(20)]])

    assert few.confidence < many.confidence
    assert torn.confidence < few.confidence


@pytest.mark.parametrize(
    "figures",
    [
        {"polarity": math.nan},
        {"polarity": 1.5},
        {"polarity": -math.inf},
        {"engagement": math.nan},
        {"engagement": math.inf},
        {"engagement": -1.0},
    ],
)
def test_unusable_figures_are_left_out_and_named(figures: dict[str, float]) -> None:
    broken = [replace(post(100 + number), **figures) for number in range(3)]  # type: ignore[arg-type]

    signal = spoken(crowd(0.1) + broken)

    assert signal.score == spoken(crowd(0.1)).score
    assert "posts left out: 3 with figures that are no numbers" in signal.reasons


def test_posts_that_are_all_alike_in_polarity_are_a_signal() -> None:
    for polarity in (-1.0, 0.01, 1.0):
        signal = spoken(crowd(polarity))

        assert -1.0 <= signal.score <= 1.0
        assert 0.0 < signal.confidence <= 1.0


def test_window_shorter_than_the_half_life_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="max_age_hours must be at least half_life_hours"):
        SentimentParameters(half_life_hours=100, max_age_hours=50)


def test_definition_reads_posts_only_and_looks_one_day_ahead() -> None:
    assert {item.value for item in DEFINITION.reads} == {"posts"}
    assert DEFINITION.bars(SentimentParameters()) == 0
    assert DEFINITION.horizon(SentimentParameters(), Interval.HOUR) == timedelta(days=1)


ANY_POST = st.builds(
    ScoredPost,
    id=st.integers(0, 30).map(str),
    network=st.sampled_from(["reddit", "x", ""]),
    author=st.integers(0, 12).map(str),
    posted_at=st.floats(-1000, 1000).map(lambda hours: NOW + timedelta(hours=hours))
    | st.sampled_from([NOW, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]),
    polarity=st.floats(-1, 1) | st.floats(),
    engagement=st.floats(0, 1e5) | st.floats(),
    fingerprint=st.integers(0, 12).map(str),
    words=st.integers(0, 50),
    links=st.integers(0, 4),
    tags=st.integers(0, 10),
)


@st.composite
def any_parameters(draw: st.DrawFn) -> SentimentParameters:
    settings: dict[str, object] = {}
    for name, bound in SentimentParameters.bounds().items():
        if draw(st.booleans()):
            number = st.integers(int(bound.least), int(bound.most))
            settings[name] = draw(number if bound.whole else st.floats(bound.least, bound.most))
    try:
        return SentimentParameters.of(settings)
    except InvalidParameters:
        return SentimentParameters()


@given(
    posts=st.lists(ANY_POST, max_size=60),
    parameters=any_parameters(),
    source=st.sampled_from(["reddit", "directory", "simulated"]),
    age_hours=st.floats(-5, 5),
)
def test_whatever_the_posts_it_speaks_within_range_or_abstains(
    posts: list[ScoredPost], parameters: SentimentParameters, source: str, age_hours: float
) -> None:
    retrieved_at = NOW - timedelta(hours=age_hours)

    said = judge(posts, parameters, source=source, retrieved_at=retrieved_at)

    assert signal_document(said)["reasons"]
    assert all(not isinstance(item.value, float) or math.isfinite(item.value) for item in said.inputs)
    if isinstance(said, Signal):
        assert -1.0 <= said.score <= 1.0
        assert 0.0 <= said.confidence <= 1.0


@given(posts=st.lists(ANY_POST, max_size=40), seed=st.integers(0, 2**32))
def test_order_of_the_posts_changes_nothing(posts: list[ScoredPost], seed: int) -> None:
    loose = SentimentParameters(min_authors=1, min_effective_posts=1, max_spam_share=1)
    shuffled = random.Random(seed).sample(posts, len(posts))

    assert judge(shuffled, loose) == judge(posts, loose)


# A polarity of 0 is no opinion, without which the agent abstains; the steps below do not cross it.
OPINION = st.one_of(st.floats(-0.9, -0.11), st.floats(0.01, 0.9))


@given(polarities=st.lists(OPINION, min_size=20, max_size=40))
def test_turning_every_polarity_round_turns_the_score_round(polarities: list[float]) -> None:
    parameters = SentimentParameters(usual_polarity=0.0)
    posts = [post(number, polarity) for number, polarity in enumerate(polarities)]
    turned = [replace(item, polarity=-item.polarity) for item in posts]

    assert spoken(turned, parameters).score == pytest.approx(-spoken(posts, parameters).score, abs=2e-6)


@given(polarities=st.lists(OPINION, min_size=20, max_size=40), rise=st.floats(0, 0.1))
def test_gladder_posts_never_lower_the_score(polarities: list[float], rise: float) -> None:
    posts = [post(number, polarity) for number, polarity in enumerate(polarities)]
    gladder = [replace(item, polarity=item.polarity + rise) for item in posts]

    assert spoken(gladder).score >= spoken(posts).score - 1e-6
