"""Which posts count: what is unusable, spam, a copy, or one of too many of an author is left out by name."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Final

from alphapulse.domain.agents.evidence import ScoredPost
from alphapulse.domain.agents.sentiment_parameters import SentimentParameters

_EVERYTHING: Final = attrgetter("posted_at", *(item for item in ScoredPost.__slots__ if item != "posted_at"))
_POST: Final = attrgetter("network", "id")
_AUTHOR: Final = attrgetter("network", "author")
_TEXT: Final = attrgetter("fingerprint")


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
    def opinion_share(self) -> float:
        """Share of posts that count in which scoring found anything for or against."""
        return sum(post.polarity != 0.0 for post in self.kept) / len(self.kept) if self.kept else 0.0

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
    max_age, none = timedelta(hours=parameters.max_age_hours), timedelta()
    recent = [post for post in posts if none <= reference - post.posted_at <= max_age]
    usable = [post for post in recent if _is_usable(post)]
    faults = Counter({Fault.UNUSABLE: len(recent) - len(usable)})
    # By everything there is, so that the order they came in cannot change a signal.
    usable.sort(key=_EVERYTHING)
    # The same post twice is a page that moved while it was read: no spam, and it counts once.
    first = _limited(usable, _POST, 1, (faults, Fault.REPEATED))
    plain = [post for post in first if not _is_spam(post, faults, parameters)]
    originals = _limited(plain, _TEXT, parameters.max_copies, (faults, Fault.COPY))
    newest_first = originals[::-1]
    kept = _limited(newest_first, _AUTHOR, parameters.max_posts_per_author, (faults, Fault.AUTHOR))
    return Sifted(tuple(kept[::-1]), faults)


def _is_usable(post: ScoredPost) -> bool:
    # NaN fails every comparison.
    return -1.0 <= post.polarity <= 1.0 and 0.0 <= post.engagement < math.inf


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
    posts: Sequence[ScoredPost],
    key_of: Callable[[ScoredPost], object],
    most: int,
    fault: tuple[Counter[Fault], Fault],
) -> list[ScoredPost]:
    seen: dict[object, int] = {}
    kept = []
    for post, key in zip(posts, map(key_of, posts), strict=True):
        count = seen[key] = seen.get(key, 0) + 1
        if count <= most:
            kept.append(post)
    faults, reason = fault
    faults[reason] += len(posts) - len(kept)
    return kept
