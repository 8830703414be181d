"""X: searches as documented, and every way in which they may be less than that."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from alphapulse.providers.errors import (
    AnswerMalformed,
    AssetUnknown,
    NotConfigured,
    SourceBusy,
    SourceRefuses,
)
from alphapulse.providers.providers import ProviderOptions
from alphapulse.providers.social.x import X
from alphapulse.providers.source import SourceContext
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers.conftest import NOW, Clock
from tests.integration.providers.social.answers import found, tweet
from tests.integration.providers.social.conftest import TOKEN
from tests.source_server import Reply, SourceServer


@pytest.fixture
def source(context: SourceContext) -> X:
    return X(context)


async def test_search_becomes_scored_posts(source: X, server: SourceServer) -> None:
    server.answer = lambda _: found(tweet(1), tweet(2))

    sample = await source.fetch("BTC")

    assert (sample.source, sample.retrieved_at) == ("x", NOW)
    post = sample.posts[0]
    assert (post.id, post.network) == ("1900000000000000001", "x")
    assert post.posted_at == NOW - dt.timedelta(minutes=1)
    assert (post.engagement, post.tags, post.words) == (10.0, 2, 4)
    assert post.polarity > 0.2


async def test_search_is_for_the_asset_in_english_without_reposts(source: X, server: SourceServer) -> None:
    server.answer = lambda _: found(tweet())

    await source.fetch("BTC")

    (question,) = server.questions
    assert question.path == "/2/tweets/search/recent"
    assert question.parameters["query"] == "($BTC OR #Bitcoin) lang:en -is:retweet"
    assert question.parameters["tweet.fields"] == "author_id,created_at,public_metrics"
    assert question.parameters["max_results"] == "100"
    assert question.headers["authorization"] == f"Bearer {TOKEN}"


async def test_token_that_is_given_is_used_once_and_not_kept(source: X, server: SourceServer) -> None:
    server.answer = lambda _: found(tweet())

    await source.fetch("BTC", token="bearer-of-a-tenant")
    await source.fetch("BTC")

    sent = [question.headers["authorization"] for question in server.questions]
    assert sent == ["Bearer bearer-of-a-tenant", f"Bearer {TOKEN}"]


async def test_without_any_token_nothing_is_asked(
    options: ProviderOptions, clock: Clock, server: SourceServer
) -> None:
    context = SourceContext(replace(options, keys={}), CacheConnection(None), clock=clock)

    with pytest.raises(NotConfigured, match=r"^no key is set for x$"):
        await X(context).fetch("BTC")

    assert server.questions == []


async def test_nothing_found_is_an_empty_sample(source: X, server: SourceServer) -> None:
    server.answer = lambda _: {"meta": {"result_count": 0}}

    assert (await source.fetch("BTC")).posts == ()


async def test_errors_beside_the_posts_do_not_cost_them(source: X, server: SourceServer) -> None:
    hidden = {"resource_type": "user", "title": "Not Found Error", "detail": "Could not find user"}
    server.answer = lambda _: found(tweet(1), errors=[hidden])

    assert len((await source.fetch("BTC")).posts) == 1


async def test_new_name_of_reposts_counts_like_the_old_one(source: X, server: SourceServer) -> None:
    server.answer = lambda _: found(tweet(1, public_metrics={"repost_count": 4, "like_count": 1}))

    assert (await source.fetch("BTC")).posts[0].engagement == 5.0


async def test_odd_post_does_not_cost_the_others(source: X, server: SourceServer) -> None:
    odd = [
        tweet(1, created_at="yesterday"),
        tweet(2, author_id=None),
        tweet(3, created_at="2026-06-15T12:00"),
    ]
    server.answer = lambda _: found(*odd, tweet(4), tweet(5), tweet(6))

    assert len((await source.fetch("BTC")).posts) == 3


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        "x",
        {"meta": {"result_count": 5}},
        {"data": {"id": "1"}, "meta": {"result_count": 1}},
        {"errors": [{"title": "Invalid Request"}]},
        found({"id": "1", "text": "only these are given by default"}),
        found(tweet(1, public_metrics=None), tweet(2, public_metrics={"like_count": "7"})),
    ],
)
async def test_answer_of_another_shape_is_malformed(source: X, server: SourceServer, answer: Any) -> None:
    server.answer = lambda _: answer

    with pytest.raises(AnswerMalformed, match="x answered"):
        await source.fetch("BTC")


@pytest.mark.parametrize("status", [400, 401, 402, 403])
async def test_refusal_is_told_without_the_token(source: X, server: SourceServer, status: int) -> None:
    server.answer = lambda _: Reply({"title": "Unauthorized", "detail": TOKEN}, status=status)

    with pytest.raises(SourceRefuses) as raised:
        await source.fetch("BTC")

    assert str(raised.value) == f"x refuses with {status}"


async def test_too_many_requests_pause_the_source_for_every_token_until_its_window_ends(
    source: X, server: SourceServer, clock: Clock
) -> None:
    end = int(clock.now.timestamp()) + 540
    limits = {"x-rate-limit-limit": "450", "x-rate-limit-remaining": "0", "x-rate-limit-reset": str(end)}
    server.answer = lambda _: Reply({"title": "Too Many Requests"}, status=429, headers=limits)

    with pytest.raises(SourceBusy) as raised:
        await source.fetch("BTC")
    with pytest.raises(SourceBusy):
        await source.fetch("BTC", token="bearer-of-a-tenant")

    assert raised.value.retry_after_seconds == 540
    assert len(server.questions) == 1


async def test_asset_that_nobody_knows_how_to_search_is_not_asked_for(
    source: X, server: SourceServer
) -> None:
    assert not source.covers("NOPE")
    with pytest.raises(AssetUnknown):
        await source.fetch("NOPE")

    assert server.questions == []
