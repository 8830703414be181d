"""Turns a post into what an agent may know of it: no text, no name.

The text is read once, here, and given up: what remains is VADER's polarity, a fingerprint, and counts. The
author becomes a hash under a key that is drawn anew for every fetch, so that posts of one author are told
together within a sample, and nobody is followed from one sample to the next. The post's own id stays: with it
anyone can look at what a signal was made from, for as long as its author leaves it there.

Polarity is the mean of the compound scores of the sentences, as VADER is made for sentences (Hutto and
Gilbert, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text, ICWSM 2014). It
reads English; its lexicon is extended by :mod:`alphapulse.providers.social.lexicon`.
"""

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from typing import Any, Final

from alphapulse.domain.agents.evidence import ScoredPost
from alphapulse.providers.social.lexicon import PLAIN, VALENCES, join_phrases

#: Of a longer text only the beginning is read.
MOST_CHARACTERS: Final = 2_000
MOST_SENTENCES: Final = 12
#: No post has more; a figure above is an error that must not become infinite.
MOST_ENGAGEMENT: Final = 1e12

_LINK: Final = re.compile(r"(?:https?://|www\.)[^\s()<>\[\]]+", re.IGNORECASE)
_MARKED_UP_LINK: Final = re.compile(r"\[([^\]\[]{0,300})\]\((?:https?://|/)[^\s()]*\)")
_MENTION: Final = re.compile(r"(?<!\w)(?:@\w{1,50}|/?[ur]/[\w-]{2,50})")
_TAG: Final = re.compile(r"(?<!\w)[#$][^\W\d_]\w{0,50}")
_QUOTED_LINE: Final = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|\n+")
_DRAWN_OUT: Final = re.compile(r"(\w)\1{2,}")
_SPACES: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class RawPost:
    """A post as a network gives it, for the moment of scoring only; its text and author are never printed.

    Attributes
    ----------
    id, network : str
        As in the scored post.
    posted_at : datetime
        Aware, UTC.
    author, text : str
        As published.
    engagement : float
        Likes, votes and answers; what is below 0 counts as 0, and a trillion is the most.
    attached_links : int
        Links beside the text.
    """

    id: str
    network: str
    posted_at: datetime
    author: str = field(repr=False)
    text: str = field(repr=False)
    engagement: float = 0.0
    attached_links: int = 0


def score(posts: Sequence[RawPost], *, key: bytes) -> tuple[ScoredPost, ...]:
    """Score posts, newest first.

    Parameters
    ----------
    posts : sequence of RawPost
        In any order.
    key : bytes
        Under which authors are hashed, at most 64 bytes.
    """
    newest_first = sorted(posts, key=lambda post: (post.posted_at, post.id), reverse=True)
    return tuple(_scored(post, key) for post in newest_first)


def polarity(text: str) -> float:
    """Return how positive a text is, in [-1, 1]; 0 for one without words that VADER knows.

    Parameters
    ----------
    text : str
        Of any length and in any script; links and mentions do not count.
    """
    return _polarity(_readable(_canonical(text)))


def fingerprint(text: str) -> str:
    """Return a hash that copies share: of the words without case, accents, links, mentions, marks, numbers.

    Letters that are drawn out (``sooo``) count as two.
    """
    return _fingerprint(_words_only(_readable(_canonical(text))))


def _scored(post: RawPost, key: bytes) -> ScoredPost:
    canonical = _canonical(post.text)
    readable = _readable(canonical)
    links = len(_LINK.findall(canonical)) + post.attached_links
    return ScoredPost(
        id=post.id,
        network=post.network,
        author=blake2b(
            f"{post.network}/{post.author}".encode(errors="replace"), digest_size=12, key=key
        ).hexdigest(),
        posted_at=post.posted_at,
        polarity=_polarity(readable),
        engagement=min(max(float(post.engagement), 0.0), MOST_ENGAGEMENT),
        fingerprint=_fingerprint(_words_only(readable)),
        words=len(_WORD.findall(_TAG.sub(" ", readable))),
        links=links,
        tags=len(_TAG.findall(_LINK.sub(" ", canonical))),
    )


def _canonical(text: str) -> str:
    # Entities first: `&amp;#36;` hides a mark. Compatibility forms (fullwidth, mathematical letters) become
    # plain ones, and characters that are not shown vanish, because both serve to dodge filters.
    plain = unicodedata.normalize("NFKC", html.unescape(text[:MOST_CHARACTERS]))[:MOST_CHARACTERS]
    return "".join(
        letter for letter in plain if letter in "\n\t\u200d" or unicodedata.category(letter)[0] != "C"
    )


def _readable(canonical: str) -> str:
    # What is quoted was said by somebody else.
    text = _QUOTED_LINE.sub(" ", _MARKED_UP_LINK.sub(r"\1", canonical))
    return _MENTION.sub(" ", _LINK.sub(" ", text))


def _polarity(readable: str) -> float:
    text = join_phrases(_TAG.sub(lambda match: match[0][1:], readable))
    sentences = [part for part in _SENTENCE_END.split(text) if part.strip()][:MOST_SENTENCES]
    if not sentences:
        return 0.0
    analyzer = _analyzer()
    compounds = [float(analyzer.polarity_scores(sentence)["compound"]) for sentence in sentences]
    return min(1.0, max(-1.0, sum(compounds) / len(compounds)))


def _words_only(readable: str) -> str:
    without_marks = unicodedata.normalize("NFKD", _TAG.sub(" ", readable)).casefold()
    letters = "".join(
        letter if unicodedata.category(letter)[0] == "L" else " "
        for letter in without_marks
        if unicodedata.category(letter)[0] != "M"
    )
    return _SPACES.sub(" ", _DRAWN_OUT.sub(r"\1\1", letters)).strip()


def _fingerprint(words: str) -> str:
    return blake2b(words.encode(errors="replace"), digest_size=8).hexdigest()


@cache
def _analyzer() -> Any:
    # Its lexicon takes 20 ms to read: only who scores posts pays for it. It comes without types.
    from vaderSentiment import vaderSentiment  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    analyzer = vaderSentiment.SentimentIntensityAnalyzer()
    for word in PLAIN:
        analyzer.lexicon.pop(word, None)
    analyzer.lexicon.update(VALENCES)
    return analyzer
