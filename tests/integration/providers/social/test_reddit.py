"""Reddit: listings as documented, and every way in which they may be less than that."""

import datetime as dt
from typing import Any

import pytest

from alphapulse.providers.errors import (
    AnswerMalformed,
    AssetUnknown,
    SourceBusy,
    SourceDown,
    SourceRefuses,
)
from alphapulse.providers.social.reddit import Reddit
from alphapulse.providers.source import SourceContext
from tests.integration.providers.conftest import NOW
from tests.integration.providers.social.answers import listing, submission
from tests.source_server import Reply, SourceServer


@pytest.fixture
def source(context: SourceContext) -> Reddit:
    return Reddit(context)


async def test_listing_becomes_scored_posts_newest_first(source: Reddit, server: SourceServer) -> None:
    server.answer = lambda _: listing(submission(2), submission(1))

    sample = await source.fetch("BTC")

    assert (sample.source, sample.retrieved_at, dict(sample.missing)) == ("reddit", NOW, {})
    assert [post.id for post in sample.posts] == ["1abc1", "1abc2"]
    newest = sample.posts[0]
    assert newest.posted_at == NOW - dt.timedelta(minutes=1)
    assert newest.polarity > 0.2
    assert (newest.network, newest.engagement, newest.words, newest.links) == ("reddit", 15.0, 9, 0)


async def test_one_request_asks_for_all_subreddits_and_says_who_asks(
    source: Reddit, server: SourceServer
) -> None:
    server.answer = lambda _: listing(submission())

    await source.fetch("BTC")

    (question,) = server.questions
    assert (question.method, question.path) == ("GET", "/r/Bitcoin+BitcoinMarkets/new.json")
    assert dict(question.parameters) == {"limit": "100", "raw_json": "1"}
    assert question.headers["user-agent"].startswith("server:alphapulse:")
    assert "authorization" not in question.headers


@pytest.mark.parametrize(
    "changes",
    [
        {"author": "[deleted]"},
        {"selftext": "[removed]"},
        {"selftext": "[deleted]"},
        {"removed_by_category": "moderator"},
        {"stickied": True},
    ],
)
async def test_deleted_removed_and_pinned_posts_are_left_out(
    source: Reddit, server: SourceServer, changes: dict[str, Any]
) -> None:
    server.answer = lambda _: listing(submission(1, **changes), submission(2))

    assert [post.id for post in (await source.fetch("BTC")).posts] == ["1abc2"]


async def test_comments_among_the_posts_are_left_out(source: Reddit, server: SourceServer) -> None:
    server.answer = lambda _: listing({**submission(1), "kind": "t1"}, submission(2))

    assert [post.id for post in (await source.fetch("BTC")).posts] == ["1abc2"]


async def test_link_post_has_a_link_and_votes_against_do_not_count(
    source: Reddit, server: SourceServer
) -> None:
    server.answer = lambda _: listing(submission(1, is_self=False, selftext="", score=-4))

    (post,) = (await source.fetch("BTC")).posts

    assert (post.links, post.engagement) == (1, 3.0)


async def test_names_and_texts_of_any_script_are_read_and_none_remains(
    source: Reddit, server: SourceServer
) -> None:
    server.answer = lambda _: listing(
        submission(1, title="比特币 🚀🚀", selftext="ビットコイン \u202e \ud7ff", author="Ünï-çødé")
    )

    sample = await source.fetch("BTC")

    assert len(sample.posts) == 1
    assert not {"比特币", "Ünï"} & set(str(sample).split())


async def test_odd_post_does_not_cost_the_others(source: Reddit, server: SourceServer) -> None:
    odd = [submission(number, created_utc=value) for number, value in enumerate((None, "soon", -1, 1e300))]
    server.answer = lambda _: listing(*odd, *(submission(number) for number in range(5, 11)))

    assert len((await source.fetch("BTC")).posts) == 6


async def test_listing_without_posts_is_an_empty_sample(source: Reddit, server: SourceServer) -> None:
    server.answer = lambda _: listing()

    assert (await source.fetch("BTC")).posts == ()


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"data": {}},
        {"data": {"children": None}},
        {"data": {"children": {"t3": []}}},
        {"kind": "Listing", "data": {"children": [1, None, "x"]}},
        listing(submission(1, title=None), submission(2, score="12")),
        listing({"kind": "t3", "data": {"id": "1"}}),
        [listing(submission()), listing()],
    ],
)
async def test_answer_of_another_shape_is_malformed(
    source: Reddit, server: SourceServer, answer: Any
) -> None:
    server.answer = lambda _: answer

    with pytest.raises(AnswerMalformed, match="reddit"):
        await source.fetch("BTC")


async def test_page_instead_of_json_is_malformed(source: Reddit, server: SourceServer) -> None:
    server.answer = lambda _: Reply(b"<!doctype html><title>whoa there, pardner!</title>")

    with pytest.raises(AnswerMalformed, match="no JSON"):
        await source.fetch("BTC")


async def test_refusal_of_the_address_is_told(source: Reddit, server: SourceServer) -> None:
    server.answer = lambda _: Reply({"message": "Forbidden", "error": 403}, status=403)

    with pytest.raises(SourceRefuses, match=r"^reddit refuses with 403$"):
        await source.fetch("BTC")


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "120"},
        {"x-ratelimit-reset": "119.5"},
        {"Retry-After": "120", "x-ratelimit-reset": "7"},
    ],
)
async def test_too_many_requests_pause_the_source(
    source: Reddit, server: SourceServer, headers: dict[str, str]
) -> None:
    answer = {"message": "Too Many Requests", "error": 429}
    server.answer = lambda _: Reply(answer, status=429, headers=headers)

    with pytest.raises(SourceBusy) as raised:
        await source.fetch("BTC")
    server.answer = lambda _: listing(submission())
    with pytest.raises(SourceBusy):
        await source.fetch("BTC")

    assert raised.value.retry_after_seconds == 120
    assert len(server.questions) == 1


async def test_answer_that_breaks_off_is_a_source_that_is_down(source: Reddit, server: SourceServer) -> None:
    server.answer = lambda _: Reply(listing(submission()), length=100_000)

    with pytest.raises(SourceDown, match="reddit does not answer"):
        await source.fetch("BTC")


async def test_asset_without_subreddits_is_not_asked_for(source: Reddit, server: SourceServer) -> None:
    assert not source.covers("NOPE")
    with pytest.raises(AssetUnknown):
        await source.fetch("NOPE")

    assert server.questions == []


async def test_long_listing_of_long_posts_is_read(source: Reddit, server: SourceServer) -> None:
    server.answer = lambda _: listing(
        *(submission(number, selftext="A good day. " * 3_000) for number in range(100))
    )

    sample = await source.fetch("BTC")

    assert len(sample.posts) == 100
    assert len({post.fingerprint for post in sample.posts}) == 1
