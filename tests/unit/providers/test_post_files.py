"""Posts from files: what is in them, what may be wrong with them, and that a file is always one sample."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alphapulse.providers.errors import AssetUnknown, BrokenFile, NotConfigured
from alphapulse.providers.social.files import PostFiles
from alphapulse.providers.source import ProviderOptions, SourceContext, SourceKind
from alphapulse.tenancy.cache import CacheConnection

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def line(number: int = 1, **changes: Any) -> str:
    post = {
        "id": str(number),
        "network": "reddit",
        "author": f"author {number}",
        "posted_at": f"2024-01-01T00:{number:02}:00Z",
        "text": "I am happy with $BTC, see https://a.example",
        "engagement": 5,
        "links": 1,
    }
    return json.dumps(post | changes)


def source_of(directory: Path) -> PostFiles:
    options = ProviderOptions(kind=SourceKind.DIRECTORY, directory=directory)
    return PostFiles(SourceContext(options, CacheConnection(None), clock=lambda: NOW))


def write(directory: Path, text: str, asset: str = "BTC") -> PostFiles:
    (directory / "posts").mkdir(exist_ok=True)
    (directory / "posts" / f"{asset}.jsonl").write_text(text, encoding="utf-8")
    return source_of(directory)


async def test_lines_become_scored_posts_newest_first(tmp_path: Path) -> None:
    source = write(tmp_path, f"{line(1)}\n\n{line(2)}\n")

    sample = await source.fetch("BTC")

    assert (sample.source, sample.retrieved_at) == ("directory", NOW)
    assert [post.id for post in sample.posts] == ["2", "1"]
    post = sample.posts[0]
    assert post.posted_at == datetime(2024, 1, 1, 0, 2, tzinfo=UTC)
    assert (post.engagement, post.links, post.tags, post.network) == (5.0, 2, 1, "reddit")
    assert post.polarity > 0.2


async def test_engagement_and_links_may_be_left_out(tmp_path: Path) -> None:
    post = json.loads(line())
    del post["engagement"], post["links"]

    (found,) = (await write(tmp_path, json.dumps(post)).fetch("BTC")).posts

    assert (found.engagement, found.links) == (0.0, 1)


async def test_same_file_gives_the_same_sample_without_texts_or_names(tmp_path: Path) -> None:
    source = write(tmp_path, f"{line(1)}\n{line(2)}")

    first, second = await source.fetch("BTC"), await source_of(tmp_path).fetch("BTC")

    assert first == second
    assert not any(word in str(first) for word in ("author 1", "happy"))


async def test_changed_file_is_read_again(tmp_path: Path) -> None:
    source = write(tmp_path, line(1))
    before = await source.fetch("BTC")

    write(tmp_path, f"{line(1)}\n{line(2)}")

    assert len((await source.fetch("BTC")).posts) == len(before.posts) + 1


async def test_separators_of_unicode_within_a_text_do_not_break_a_line(tmp_path: Path) -> None:
    source = write(tmp_path, json.dumps(json.loads(line(text="one\u2028two\x85three")), ensure_ascii=False))

    assert len((await source.fetch("BTC")).posts) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 1: is no JSON"),
        ("[]", "line 1: must be a JSON object, was list"),
        ("[" * 100_000, "line 1: is nested too deep"),
        (f"{line(1)}\n{{}}", "line 2: must have id, network, author, posted_at, text"),
        (line(polarity=1), "line 1: must have id"),
        (line(id=7), "line 1: id cannot be read: must be a text, was int"),
        (line(posted_at="yesterday"), "line 1: posted_at cannot be read"),
        (line(posted_at="2024-01-01T00:00:00"), "line 1: posted_at cannot be read: a time needs an offset"),
        (line(engagement="5"), "line 1: engagement cannot be read: must be a number, was str"),
        (line(links=True), "line 1: links cannot be read"),
    ],
)
async def test_broken_file_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    source = write(tmp_path, text)

    with pytest.raises(BrokenFile) as raised:
        await source.fetch("BTC")

    assert str(raised.value).startswith(f"posts/BTC.jsonl {problem}")


async def test_asset_without_a_file_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(AssetUnknown, match=r"there is no data file posts/ETH\.jsonl"):
        await write(tmp_path, line(1)).fetch("ETH")


def test_directory_that_does_not_exist_is_not_configured(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured):
        source_of(tmp_path / "nowhere")


async def test_time_of_retrieval_is_that_of_the_question(tmp_path: Path) -> None:
    source = write(tmp_path, line(1))
    moments = iter((NOW, NOW.replace(hour=13), NOW.replace(hour=14)))
    source._clock = lambda: next(moments)

    first, second = await source.fetch("BTC"), await source.fetch("BTC")

    assert first.retrieved_at < second.retrieved_at
    assert replace(second, retrieved_at=first.retrieved_at) == first
