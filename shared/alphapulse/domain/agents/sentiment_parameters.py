"""The named parameters of the sentiment agent, with their bounds and meanings."""

from dataclasses import dataclass
from typing import Final

from alphapulse.domain.agents.parameters import InvalidParameters, Parameters, parameter


@dataclass(frozen=True, slots=True)
class SentimentParameters(Parameters):
    """Settings of the sentiment agent.

    Raises
    ------
    InvalidParameters
        When one is out of bounds, or posts would count for less than one half-life.
    """

    half_life_hours: float = parameter(12.0, 0.5, 168, "hours after which a post weighs half")
    max_age_hours: float = parameter(48.0, 1, 720, "hours after which a post no longer counts")
    max_delay_minutes: int = parameter(30, 1, 1440, "how old the sample of posts may be, in minutes")
    engagement_cap: float = parameter(1000.0, 1, 1e6, "votes and answers above which a post weighs no more")
    engagement_gain: float = parameter(3.0, 0, 20, "added weight of a post at the cap; 0 weighs all alike")
    max_tags: int = parameter(6, 0, 50, "most # and $ marks of a post that is no spam")
    max_links: int = parameter(2, 0, 20, "most links of a post that is no spam")
    min_words: int = parameter(4, 1, 50, "least words of a post that is no spam")
    max_posts_per_author: int = parameter(3, 1, 100, "newest posts of one author that count")
    max_copies: int = parameter(1, 1, 100, "earliest posts of the same text that count, whoever wrote them")
    max_spam_share: float = parameter(0.7, 0.05, 1, "share of spam and copies above which it abstains")
    min_authors: int = parameter(8, 1, 1000, "least different authors")
    min_opinion_share: float = parameter(0.2, 0.05, 1, "least share of posts with a polarity other than 0")
    min_effective_posts: float = parameter(6.0, 1, 1000, "least effective sample size, in posts")
    usual_polarity: float = parameter(0.05, -0.5, 0.5, "mean polarity that is usual and scores 0")
    full_polarity: float = parameter(0.2, 0.02, 1, "distance from the usual polarity that scores 1")
    half_confidence_posts: float = parameter(20.0, 1, 1000, "effective posts that give half confidence")
    missing_source_factor: float = parameter(0.8, 0, 1, "confidence that each missing network leaves")
    horizon_days: int = parameter(1, 1, 30, "days ahead a signal looks, after which it is scored")

    def check(self) -> None:
        """Refuse a window that is shorter than the half-life."""
        if self.max_age_hours < self.half_life_hours:
            raise InvalidParameters(
                f"max_age_hours must be at least half_life_hours ({self.half_life_hours:g}), "
                f"was {self.max_age_hours:g}"
            )


PARAMETERS: Final = SentimentParameters
