"""The sentiment agent: what people write about an asset, weighed by age and by how many it reached.

Posts arrive scored: the polarity of each is VADER's compound score in [-1, 1], computed where posts are
fetched, because texts are not kept. Spam and copies are left out by rules of counting, so that a campaign of
many accounts weighs like the one post it repeats. What is left is averaged with a weight that halves with
every half-life and grows with the logarithm of engagement up to a cap. The score is the distance of that
mean from what is usual. Confidence grows with the effective sample size, Kish's ``(sum w)^2 / sum w^2``,
which a few heavy posts keep small; it falls with the spread of the polarities and with every network that is
missing.

References
----------
Hutto and Gilbert, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text, ICWSM
2014. Kish, Survey Sampling, Wiley 1965, section 11.7.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import (
    REPLAY_SOURCE,
    Dataset,
    Evidence,
    PostSample,
    ScoredPost,
    is_ahead,
    is_stale,
    unit,
)
from alphapulse.domain.agents.sentiment_filter import Sifted, sift
from alphapulse.domain.agents.sentiment_parameters import SentimentParameters
from alphapulse.domain.signals import Abstention, AgentVoice, Signal, SignalInput

AGENT: Final = "sentiment"
AGENT_VERSION: Final = "1.0.0"


@dataclass(frozen=True, slots=True)
class _Mood:
    polarity: float
    spread: float
    effective_posts: float


def speak(evidence: Evidence, parameters: SentimentParameters) -> Signal | Abstention:
    """Judge a symbol by the posts about its base asset.

    Parameters
    ----------
    evidence : Evidence
        Its posts; those after ``evidence.now`` change nothing.
    parameters : SentimentParameters
        Decay, weights, the rules for spam, and how much is too little.

    Returns
    -------
    Signal or Abstention
        An abstention when there are no posts, the sample is too old, most of it is spam, or what is left
        comes from too few authors, says next to nothing, or has too small an effective size. What was left
        out, and networks that did not answer, are named in the reasons of a signal.
    """
    voice = AgentVoice(AGENT, evidence.symbol, AGENT_VERSION, evidence.now)
    sample = evidence.posts
    if sample is None:
        return voice.abstain(evidence.why_missing(Dataset.POSTS))
    retrieved_at, max_delay = sample.retrieved_at, timedelta(minutes=parameters.max_delay_minutes)
    if is_ahead(retrieved_at, sample.source, now=evidence.now):
        return voice.abstain(f"the posts were retrieved at {retrieved_at.isoformat()}, after the signal")
    if is_stale(retrieved_at, sample.source, now=evidence.now, max_age=max_delay):
        oldest = (evidence.now - max_delay).isoformat()
        return voice.abstain(f"the posts were retrieved at {retrieved_at.isoformat()}, before {oldest}")
    reference = _reference(sample, evidence.now)
    sifted = sift(sample.posts, reference, parameters)
    inputs = _sample_inputs(sifted, sample)
    mood = _mood(sifted.kept, _weights(sifted.kept, reference, parameters))
    missing = _missing(evidence, sample)
    refusal = _refusal(sifted, mood, parameters)
    if refusal is not None or mood is None:
        reasons = (refusal or "no post weighs anything", *_network_gaps(missing))
        return voice.abstain("; ".join(reasons), inputs)
    return voice.signal(
        unit((mood.polarity - parameters.usual_polarity) / parameters.full_polarity),
        _confidence(mood, len(missing), parameters),
        reasons=_reasons(sifted, mood, missing, parameters),
        inputs=inputs + _mood_inputs(mood, sample),
    )


def _reference(sample: PostSample, now: datetime) -> datetime:
    # A replay's posts are as old as its files: their ages count from the newest post there was by now.
    if sample.source != REPLAY_SOURCE:
        return now
    return max((post.posted_at for post in sample.posts if post.posted_at <= now), default=now)


def _weights(
    posts: Sequence[ScoredPost], reference: datetime, parameters: SentimentParameters
) -> list[float]:
    half_life_seconds, cap = 3600 * parameters.half_life_hours, parameters.engagement_cap
    gain = parameters.engagement_gain / math.log1p(cap)
    ages = [(reference - post.posted_at).total_seconds() for post in posts]
    return [
        0.5 ** (age / half_life_seconds) * (1.0 + gain * math.log1p(min(post.engagement, cap)))
        for age, post in zip(ages, posts, strict=True)
    ]


def _mood(posts: Sequence[ScoredPost], weights: Sequence[float]) -> _Mood | None:
    total, squares = math.fsum(weights), math.fsum(weight * weight for weight in weights)
    # With the shortest half-life and the longest window the oldest weights are below float64.
    if squares <= 0:
        return None
    pairs = list(zip(posts, weights, strict=True))
    mean = math.fsum(weight * post.polarity for post, weight in pairs) / total
    variance = math.fsum(weight * (post.polarity - mean) ** 2 for post, weight in pairs) / total
    return _Mood(mean, math.sqrt(max(variance, 0.0)), total * total / squares)


def _refusal(sifted: Sifted, mood: _Mood | None, parameters: SentimentParameters) -> str | None:
    if not sifted.considered:
        return f"there are no posts of the last {parameters.max_age_hours:g} hours"
    if sifted.spam_share > parameters.max_spam_share:
        return (
            f"{sifted.spam_share:.0%} of {sifted.considered} posts are spam or copies, "
            f"at most {parameters.max_spam_share:.0%} are tolerated"
        )
    if sifted.authors < parameters.min_authors:
        return f"needs posts of {parameters.min_authors} authors, found {sifted.authors}"
    # A language that scoring cannot read has polarity 0 throughout, which is below the usual.
    if sifted.opinion_share < parameters.min_opinion_share:
        return (
            f"{sifted.opinion_share:.0%} of {len(sifted.kept)} posts have a polarity other than 0, "
            f"{parameters.min_opinion_share:.0%} is needed"
        )
    if mood is None or mood.effective_posts < parameters.min_effective_posts:
        found = mood.effective_posts if mood else 0.0
        return f"needs {parameters.min_effective_posts:g} effective posts, found {found:.1f}"
    return None


def _confidence(mood: _Mood, missing: int, parameters: SentimentParameters) -> float:
    size = mood.effective_posts / (mood.effective_posts + parameters.half_confidence_posts)
    agreement = max(0.0, 1.0 - mood.spread)
    return float(size * agreement * parameters.missing_source_factor**missing)


def _missing(evidence: Evidence, sample: PostSample) -> Mapping[str, str]:
    return {**evidence.silent_sources(Dataset.POSTS), **sample.missing}


def _reasons(
    sifted: Sifted, mood: _Mood, missing: Mapping[str, str], parameters: SentimentParameters
) -> tuple[str, ...]:
    side = "above" if mood.polarity > parameters.usual_polarity else "below"
    first = (
        f"the mean polarity of {len(sifted.kept)} posts by {sifted.authors} authors is {mood.polarity:+.3f}, "
        f"{side} the usual {parameters.usual_polarity:+.3f} (half-life {parameters.half_life_hours:g} h)"
    )
    second = (
        f"they weigh like {mood.effective_posts:.1f} posts, and their polarity spreads by {mood.spread:.2f}"
    )
    return (
        first,
        second,
        *_network_reasons(sifted.kept),
        *sifted.reasons(parameters),
        *_network_gaps(missing),
    )


def _network_gaps(missing: Mapping[str, str]) -> list[str]:
    return [f"no posts from {network}: {why}" for network, why in sorted(missing.items())]


def _network_reasons(posts: Sequence[ScoredPost]) -> list[str]:
    by_network: dict[str, list[float]] = defaultdict(list)
    for post in posts:
        by_network[post.network].append(post.polarity)
    return [
        f"{network}: {len(found)} posts, mean polarity {math.fsum(found) / len(found):+.3f}"
        for network, found in sorted(by_network.items())
    ]


def _sample_inputs(sifted: Sifted, sample: PostSample) -> tuple[SignalInput, ...]:
    figures = {
        "posts_considered": sifted.considered,
        "posts_counted": len(sifted.kept),
        "authors": sifted.authors,
        "spam_share": round(sifted.spam_share, 6),
    }
    return tuple(
        SignalInput(name, value, sample.retrieved_at, sample.source) for name, value in figures.items()
    )


def _mood_inputs(mood: _Mood, sample: PostSample) -> tuple[SignalInput, ...]:
    figures = {
        "mean_polarity": mood.polarity,
        "polarity_spread": mood.spread,
        "effective_posts": mood.effective_posts,
    }
    return tuple(
        SignalInput(name, round(value, 6), sample.retrieved_at, sample.source)
        for name, value in figures.items()
    )


DEFINITION: Final = AgentDefinition(
    name=AGENT,
    version=AGENT_VERSION,
    parameters=SentimentParameters,
    reads=frozenset({Dataset.POSTS}),
    speak=speak,
    bars=lambda _: 0,
    horizon=lambda parameters, _: timedelta(days=parameters.horizon_days),
)
