"""What reading a network's answer has in common: times, numbers, and how much of it may be unreadable."""

import asyncio
import math
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from alphapulse.domain.agents.evidence import PostSample
from alphapulse.providers.candles.source import Clock
from alphapulse.providers.errors import AnswerMalformed
from alphapulse.providers.social.scoring import RawPost, score

#: What goes wrong when a part of an answer is of another shape than documented.
UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)

# The years 2001 and 2286: seconds outside are milliseconds, or no time.
_LEAST_SECONDS: Final = 1e9
_MOST_SECONDS: Final = 1e10


def read_posts(source: str, items: Any, read: Callable[[Any], RawPost | None]) -> list[RawPost]:
    """Read each post of an answer by itself, so that one odd post does not cost the others.

    Parameters
    ----------
    source
        Whose answer.
    items
        The list of posts in it.
    read
        ``item -> RawPost``, or None for a post that is to be left out; raises one of :data:`UNREADABLE`.

    Raises
    ------
    AnswerMalformed
        It is no list, or most of it cannot be read: that is another format, not an odd post.
    """
    if not isinstance(items, list):
        raise AnswerMalformed(f"{source} answered posts that are no list")
    posts, unreadable = [], 0
    for item in items:
        try:
            post = read(item)
        except UNREADABLE:
            unreadable += 1
        else:
            posts += [] if post is None else [post]
    if unreadable * 2 > len(items):
        raise AnswerMalformed(f"{source} answered {len(items)} posts of which {unreadable} cannot be read")
    return posts


async def sample_of(source: str, posts: Sequence[RawPost], *, clock: Clock) -> PostSample:
    """Return the scored sample of an answer, with the authors under a key of its own.

    Scoring runs outside the event loop: a hundred long posts take a tenth of a second.
    """
    retrieved_at = clock()
    scored = await asyncio.to_thread(score, posts, key=secrets.token_bytes(16))
    return PostSample(scored, source, retrieved_at)


def text_of(value: Any) -> str:
    """Return a text as it is; raises TypeError for what is none."""
    if not isinstance(value, str):
        raise TypeError(f"must be a text, was {type(value).__name__}")
    return value


def count_of(value: Any) -> float:
    """Return a count; raises TypeError or ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"must be a number, was {type(value).__name__}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("must be finite")
    return number


def moment_of(seconds: Any) -> datetime:
    """Return the time of seconds since 1970; raises TypeError or ValueError for what is none."""
    number = count_of(seconds)
    if not _LEAST_SECONDS <= number < _MOST_SECONDS:
        raise ValueError("must be seconds since 1970")
    return datetime.fromtimestamp(number, UTC)


def moment_of_text(value: Any) -> datetime:
    """Return the time of an RFC 3339 text; raises TypeError or ValueError for what is none."""
    moment = datetime.fromisoformat(text_of(value))
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    return moment.astimezone(UTC)
