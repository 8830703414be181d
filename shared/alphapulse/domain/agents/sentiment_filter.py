"""Which posts count: what is unusable, spam, a copy, or one of too many of an author is left out by name."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Final

from alphapulse.domain.agents.evidence import ScoredPost
from alphapulse.domain.agents.sentiment_parameters import SentimentParameters

_EVERYTHING: Final = attrgetter("posted_at", *(item for item in ScoredPost.__slots__ if item != "posted_at"))


class Fault(StrEnum):
    """Why a post within the window does not count."""

    UNUSABLE = "unusable"
    REPEATED = "repeated"
    TAGS = "tags"
    LINKS = "links"
    SHORT = "short"
    COPY = "copy"
    AUTHOR = "author"


#: What counts as spam or copy, of which the agent tolerates a share.
SPAM: Final = frozenset({Fault.TAGS, Fault.LINKS, Fault.SHORT, Fault.COPY, Fault.AUTHOR})


@dataclass(frozen=True, slots=True)
class Sifted:
    """Posts that count, oldest first, and how many do not.

    Attributes
    ----------
    kept : tuple of ScoredPost
        In an order that does not depend on the order they were given in.
    faults : counter of Fault
        Posts left out, by reason. Posts outside the window are not counted at all.
    """

    kept: tuple[ScoredPost, ...]
    faults: Counter[Fault]

    @property
    def considered(self) -> int:
        """Different usable posts within the window."""
        return len(self.kept) + self._spam

    @property
    def spam_share(self) -> float:
        """Share of spam and copies among them."""
        return self._spam / self.considered if self.considered else 0.0

    @property
    def authors(self) -> int:
        """Different authors of posts that count."""
        return len({(post.network, post.author) for post in self.kept})

    @property
    def _spam(self) -> int:
        return sum(count for fault, count in self.faults.items() if fault in SPAM)

    def reasons(self, parameters: SentimentParameters) -> list[str]:
        """Say what was left out, and by which rule."""
        rules = {
            Fault.UNUSABLE: "with figures that are no numbers",
            Fault.REPEATED: "given twice",
            Fault.TAGS: f"with more than {parameters.max_tags} tags",
            Fault.LINKS: f"with more than {parameters.max_links} links",
            Fault.SHORT: f"of less than {parameters.min_words} words",
            Fault.COPY: "that copy another",
            Fault.AUTHOR: f"beyond the {parameters.max_posts_per_author} newest of their author",
        }
        parts = [f"{self.faults[fault]} {rule}" for fault, rule in rules.items() if self.faults[fault]]
        return [f"posts left out: {', '.join(parts)}"] if parts else []


def sift(posts: Iterable[ScoredPost], reference: datetime, parameters: SentimentParameters) -> Sifted:
    """Sort out the posts that count at a moment.

    Parameters
    ----------
    posts : iterable of ScoredPost
        In any order. Polarity outside [-1, 1], and engagement below 0, infinite or NaN make one unusable.
    reference : datetime
        Posts after it, or longer before it than ``max_age_hours``, are not looked at.
    parameters : SentimentParameters
        The rules.
    """
    max_age = timedelta(hours=parameters.max_age_hours)
    faults: Counter[Fault] = Counter()
    recent = [
        post
        for post in posts
        if timedelta() <= reference - post.posted_at <= max_age and _usable(post, faults)
    ]
    # By everything there is, so that the order they came in cannot change a signal.
    recent.sort(key=_EVERYTHING)
    first = _without_repeated(recent, faults)
    plain = [post for post in first if not _is_spam(post, faults, parameters)]
    originals = _limited(
        plain, [post.fingerprint for post in plain], parameters.max_copies, (faults, Fault.COPY)
    )
    newest_first = originals[::-1]
    authors = [f"{post.network}/{post.author}" for post in newest_first]
    kept = _limited(newest_first, authors, parameters.max_posts_per_author, (faults, Fault.AUTHOR))
    return Sifted(tuple(kept[::-1]), faults)


def _usable(post: ScoredPost, faults: Counter[Fault]) -> bool:
    # NaN fails both comparisons.
    good = -1.0 <= post.polarity <= 1.0 and post.engagement >= 0.0 and math.isfinite(post.engagement)
    faults[Fault.UNUSABLE] += not good
    return good


def _without_repeated(posts: Sequence[ScoredPost], faults: Counter[Fault]) -> list[ScoredPost]:
    # The same post twice is a page that moved while it was read: no spam, and it counts once.
    return _limited(posts, [f"{post.network}/{post.id}" for post in posts], 1, (faults, Fault.REPEATED))


def _is_spam(post: ScoredPost, faults: Counter[Fault], parameters: SentimentParameters) -> bool:
    if post.tags > parameters.max_tags:
        fault = Fault.TAGS
    elif post.links > parameters.max_links:
        fault = Fault.LINKS
    elif post.words < parameters.min_words:
        fault = Fault.SHORT
    else:
        return False
    faults[fault] += 1
    return True


def _limited(
    posts: Sequence[ScoredPost], keys: Sequence[str], most: int, fault: tuple[Counter[Fault], Fault]
) -> list[ScoredPost]:
    seen: dict[str, int] = {}
    kept = []
    for post, key in zip(posts, keys, strict=True):
        count = seen[key] = seen.get(key, 0) + 1
        if count <= most:
            kept.append(post)
    faults, reason = fault
    faults[reason] += len(posts) - len(kept)
    return kept
