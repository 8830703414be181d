"""What scoring finds in a post; VADER's own values are those its authors publish with the library."""

import math
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.agents.evidence import ScoredPost
from alphapulse.providers.social import lexicon
from alphapulse.providers.social.scoring import RawPost, fingerprint, polarity, score

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
KEY = b"a key of the test"


def raw(text: str, **other: object) -> RawPost:
    facts: dict[str, object] = {
        "id": "1",
        "network": "reddit",
        "posted_at": NOW,
        "author": "ann",
        "text": text,
    }
    return RawPost(**(facts | other))  # type: ignore[arg-type]


def scored(text: str, **other: object) -> ScoredPost:
    (post,) = score([raw(text, **other)], key=KEY)
    return post


@pytest.mark.parametrize(
    ("sentence", "compound"),
    [
        ("VADER is smart, handsome, and funny.", 0.8316),
        ("VADER is smart, handsome, and funny!", 0.8439),
        ("VADER is very smart, handsome, and funny.", 0.8545),
        ("VADER is VERY SMART, handsome, and FUNNY.", 0.9227),
        ("VADER is VERY SMART, handsome, and FUNNY!!!", 0.9342),
        ("VADER is not smart, handsome, nor funny.", -0.7424),
        ("The book was good.", 0.4404),
        ("At least it isn't a horrible book.", 0.431),
        ("The book was only kind of good.", 0.3832),
        ("The plot was good, but the characters are uncompelling and the dialog is not great.", -0.7042),
        ("Today SUX!", -0.5461),
        ("Catch utf-8 emoji such as 💘 and 💋 and 😁", 0.875),
        ("Not bad at all", 0.431),
    ],
)
def test_sentences_have_the_values_that_vaders_authors_publish(sentence: str, compound: float) -> None:
    assert polarity(sentence) == pytest.approx(compound, abs=1e-9)


def test_polarity_of_a_post_is_the_mean_of_its_sentences() -> None:
    good, bad = "The book was good.", "Today SUX!"

    assert polarity(f"{good} {bad}") == pytest.approx((polarity(good) + polarity(bad)) / 2)
    assert polarity(f"{good}\n{bad}") == polarity(f"{good} {bad}")


@pytest.mark.parametrize(
    ("glad", "angry"),
    [
        ("I am bullish on this", "I am bearish on this"),
        ("it goes to the moon", "that was a rug pull"),
        ("TO THE MOON", "RUG PULL"),
        ("time to HODL", "got rekt again"),
        ("diamond hands here", "paper hands here"),
        ("a new all-time high", "a new all-time low"),
        ("this looks undervalued", "this looks overvalued"),
        ("inflows for a week", "outflows for a week"),
        ("we reached a new ATH", "a total bloodbath"),
        ("🚀", "exit scam"),
    ],
)
def test_words_of_crypto_markets_count(glad: str, angry: str) -> None:
    assert polarity(glad) > 0.1
    assert polarity(angry) < -0.1


def test_negation_turns_a_word_of_crypto_markets_round() -> None:
    assert polarity("I am not bullish") < 0 < polarity("I am bullish")


@pytest.mark.parametrize("text", ["a new block at height 800000", "he sold his shares", "open interest", ""])
def test_words_with_a_plain_meaning_here_do_not_count(text: str) -> None:
    assert polarity(text) == 0.0


def test_added_words_are_within_vaders_scale_and_none_is_plain_as_well() -> None:
    assert all(-4.0 <= valence <= 4.0 and valence != 0 for valence in lexicon.VALENCES.values())
    assert all(word == word.casefold() and " " not in word for word in lexicon.VALENCES)
    assert not lexicon.PLAIN & lexicon.VALENCES.keys()


def test_longest_phrase_is_joined_first() -> None:
    assert (
        lexicon.join_phrases("to the moon after a dead cat  bounce") == "to_the_moon after a dead_cat_bounce"
    )
    assert lexicon.join_phrases("Rug-pulled, then RUG PULL") == "Rug_pulled, then RUG_PULL"


def test_links_mentions_and_quotes_do_not_speak() -> None:
    plain = polarity("I moved my coins today")

    assert polarity("I moved my coins today https://great.example/awesome?love=1") == plain
    assert polarity("@happy_winner I moved my coins today") == plain
    assert polarity("> what a great, wonderful, happy day\nI moved my coins today") == plain
    assert polarity("[I moved my coins today](https://example.com/terrible)") == plain


def test_counts_are_of_words_links_and_marks() -> None:
    post = scored("Buy $BTC and #eth now, see https://a.example/x#y and www.b.example for $100 or #1!")

    assert (post.words, post.links, post.tags) == (7, 2, 2)


def test_link_of_a_link_post_counts_beside_those_in_its_text() -> None:
    assert scored("see https://a.example", attached_links=1).links == 2


def test_escaped_text_is_read_as_it_is_shown() -> None:
    assert scored("Tom &amp; &#36;BTC") == scored("Tom & $BTC")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Buy now!!! 100x gains", "BUY NOW 50x gains..."),
        ("Buy now https://a.example/1", "buy now https://b.example/2"),
        ("@ann buy now", "@bob buy now"),
        ("buy now #gem", "buy now $BTC #pump"),
        ("\uff42\uff55\uff59 \uff4e\uff4f\uff57", "buy now"),
        ("b\u200bu\u200by now", "buy now"),
        ("büy nöw", "buy now"),
        ("buy    now 🚀🚀", "buy now"),
        ("sooooo good", "sooo good"),
    ],
)
def test_copies_that_differ_in_decoration_share_a_fingerprint(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_different_texts_have_different_fingerprints() -> None:
    texts = ["buy now", "sell now", "buy", "now buy", "今買う", "купить сейчас"]

    assert all(fingerprint(one) != fingerprint(other) for one, other in combinations(texts, 2))


def test_author_becomes_a_hash_that_is_the_same_within_a_sample_only() -> None:
    posts = [
        raw("one"),
        raw("two", id="2"),
        raw("three", id="3", author="bob"),
        raw("x", id="4", network="x"),
    ]

    sample = {post.id: post.author for post in score(posts, key=b"one")}

    assert sample["1"] == sample["2"]
    assert len(set(sample.values())) == 3
    assert "ann" not in "".join(sample.values())
    assert score(posts, key=b"two")[0].author not in sample.values()


def test_neither_text_nor_author_remains_or_is_ever_printed() -> None:
    post = raw("a very secret text", author="a very secret name")

    assert "secret" not in repr(post)
    assert "secret" not in str(asdict(scored("a very secret text", author="a very secret name")))


def test_posts_come_newest_first() -> None:
    posts = [raw("text", id=str(age), posted_at=NOW - timedelta(hours=age)) for age in (3, 1, 2)]

    assert [post.id for post in score(posts, key=KEY)] == ["1", "2", "3"]


@pytest.mark.parametrize(("count", "counted"), [(-12.0, 0.0), (12.0, 12.0), (math.inf, 1e12)])
def test_engagement_is_a_finite_number_from_zero(count: float, counted: float) -> None:
    assert scored("text", engagement=count).engagement == counted


@pytest.mark.parametrize(
    "text",
    [
        "x" * 5_000_000,
        "good " * 1_000_000,
        "[" * 100_000,
        "\n" * 100_000 + ">",
        "http://" * 50_000,
        "ﷺ" * 100_000,
    ],
    ids=["one word", "words", "brackets", "lines", "links", "letters that grow"],
)
def test_huge_text_is_scored_from_its_beginning_and_quickly(text: str) -> None:
    begin = datetime.now(UTC)

    post = scored(text)

    assert -1.0 <= post.polarity <= 1.0
    assert datetime.now(UTC) - begin < timedelta(seconds=5)


@settings(max_examples=150)
@given(text=st.text(max_size=400))
def test_whatever_the_text_the_score_is_within_range(text: str) -> None:
    post = scored(text)

    assert -1.0 <= post.polarity <= 1.0
    assert min(post.words, post.links, post.tags) >= 0
    assert post.fingerprint == fingerprint(text)


def test_library_is_loaded_with_the_first_post_and_not_before() -> None:
    program = (
        "import sys\n"
        "from alphapulse.providers.social import scoring\n"
        "assert 'vaderSentiment' not in sys.modules\n"
        "scoring.polarity('good')\n"
        "assert 'vaderSentiment' in sys.modules\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
