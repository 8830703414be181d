"""All networks together, through a shared cache: what is missing is named, and no text gets into it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.sentiment import speak
from alphapulse.domain.agents.sentiment_parameters import SentimentParameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Signal
from alphapulse.providers.errors import NotConfigured, SourceDown
from alphapulse.providers.providers import ProviderOptions, Providers
from alphapulse.tenancy.cache import CacheConnection
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.integration.providers.conftest import NOW, Clock
from tests.integration.providers.social.answers import found, listing, submission, tweet
from tests.provider_counts import Counts
from tests.source_server import Question, Reply, SourceServer

Build = Callable[[CacheConnection], Providers]


def both(question: Question) -> object:
    if question.path.startswith("/r/"):
        return listing(*(submission(number, title=f"Good point, {word(number)}") for number in range(1, 31)))
    return found(*(tweet(number, text=f"Great {word(number)}, happy with $BTC") for number in range(1, 31)))


def word(number: int) -> str:
    """A word of its own, so that posts are no copies of each other."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


@pytest.fixture
def providers(new_providers: Build, connection: CacheConnection, server: SourceServer) -> Providers:
    server.answer = both
    return new_providers(connection)


async def test_sample_holds_posts_of_both_networks_newest_first(providers: Providers) -> None:
    sample = await providers.posts("BTC")

    assert (sample.source, sample.retrieved_at, dict(sample.missing)) == ("reddit+x", NOW, {})
    assert [post.network for post in sample.posts].count("x") == 30
    assert [post.posted_at for post in sample.posts] == sorted(
        (post.posted_at for post in sample.posts), reverse=True
    )


async def test_second_question_is_answered_from_the_cache_with_the_very_same_sample(
    providers: Providers, new_providers: Build, other_connection: CacheConnection, server: SourceServer
) -> None:
    first = await providers.posts("BTC")

    again = await new_providers(other_connection).posts("BTC")

    assert again == first
    assert len(server.questions) == 2


async def test_same_answers_are_the_same_object_until_one_of_them_changes(
    providers: Providers, clock: Clock
) -> None:
    first, again = await providers.posts("BTC"), await providers.posts("BTC")
    clock.forward(301)
    later = await providers.posts("BTC")

    assert again is first
    assert later is not first
    assert later.retrieved_at > first.retrieved_at


async def test_neither_text_nor_name_gets_into_the_cache(
    providers: Providers, own_redis: EmbeddedRedis
) -> None:
    connection = CacheConnection(own_redis.function_url)
    await providers.posts("BTC")

    stored = await connection.providers().get("reddit", "posts", "BTC")
    await connection.close()

    assert stored
    assert not any(word in str(stored) for word in ("Good point", "happy", "author_1"))


async def test_network_that_is_down_is_named_and_the_agent_speaks_from_the_other(
    providers: Providers, server: SourceServer
) -> None:
    server.answer = lambda question: (
        Reply({}, status=503) if question.path.startswith("/2/") else both(question)
    )

    sample = await providers.posts("BTC")
    said = speak(Evidence("BTC-USDT", Interval.HOUR, NOW, posts=sample), SentimentParameters())

    assert dict(sample.missing) == {"x": "x answered 503"}
    assert isinstance(said, Signal)
    assert "no posts from x: x answered 503" in said.reasons


async def test_without_a_key_reddit_alone_speaks(
    options: ProviderOptions, connection: CacheConnection, clock: Clock, counts: Counts, server: SourceServer
) -> None:
    server.answer = both
    keyless = Providers(replace(options, keys={}), cache=connection, clock=clock, observer=counts)

    sample = await keyless.posts("BTC")
    await keyless.close()

    assert (sample.source, dict(sample.missing)) == ("reddit", {"x": "no key is set for x"})


async def test_all_networks_failing_is_a_failure_with_both_reasons(
    options: ProviderOptions, connection: CacheConnection, clock: Clock, counts: Counts, server: SourceServer
) -> None:
    server.answer = lambda _: Reply({}, status=500)
    keyless = Providers(replace(options, keys={}), cache=connection, clock=clock, observer=counts)

    with pytest.raises(SourceDown, match=r"^reddit answered 500; no key is set for x$") as raised:
        await keyless.posts("BTC")
    await keyless.close()

    assert not isinstance(raised.value, NotConfigured)
