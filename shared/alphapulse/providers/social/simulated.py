"""Simulated posts, which go with the clock and say in every sample that they are simulated.

The posts of an hour follow from the seed, the asset and the hour alone, whoever asks and whenever. They come
with what makes real ones hard to read: bursts, copies spread by many accounts, posts stuffed with tags or
links, authors who never stop. Each is written out and scored as a live post is.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from alphapulse.domain.agents.evidence import PostSample, ScoredPost
from alphapulse.providers.candles.simulation import ASSETS, FIRST_DAY
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.social.scoring import score
from alphapulse.providers.social.simulation import hour_of_posts
from alphapulse.providers.source import SourceContext

_HOURS: Final = 48
_HOUR: Final = 3600
_FRESH: Final = 300
_KEY: Final = b"simulated posts"


class SimulatedPosts:
    """Posts about all assets that have simulated candles.

    Parameters
    ----------
    context
        Tells seed and time.
    """

    name: Literal["simulated"] = "simulated"

    def __init__(self, context: SourceContext) -> None:
        self._seed = context.options.seed
        self._clock = context.clock
        self._made: dict[str, dict[int, tuple[ScoredPost, ...]]] = {}
        self._samples: dict[str, PostSample] = {}

    def covers(self, asset: str) -> bool:
        """Tell whether the asset has simulated candles."""
        return asset in ASSETS

    async def fetch(self, asset: str) -> PostSample:
        """Return the posts of the last two days, as they were at the last full five minutes.

        Raises
        ------
        AssetUnknown
            The asset is not simulated, or nothing is yet at this time.
        """
        # As long as the answer of a service is fresh: who asks within it gets the same.
        moment = datetime.fromtimestamp(self._clock().timestamp() // _FRESH * _FRESH, UTC)
        last = int(moment.timestamp()) // _HOUR
        if not self.covers(asset) or last < FIRST_DAY * 24:
            raise AssetUnknown(f"{asset} is not simulated")
        sample = self._samples.get(asset)
        if sample is None or sample.retrieved_at != moment:
            made = await asyncio.to_thread(self._make, asset, range(last, last - _HOURS - 1, -1))
            oldest = moment - timedelta(hours=_HOURS)
            posts = (post for hour_posts in made.values() for post in hour_posts)
            kept = tuple(post for post in posts if oldest < post.posted_at <= moment)
            # What has gone out of the window will not be asked for again.
            self._made[asset] = made
            sample = self._samples[asset] = PostSample(kept, self.name, moment)
        return sample

    def _make(self, asset: str, hours: range) -> dict[int, tuple[ScoredPost, ...]]:
        known = self._made.get(asset, {})
        return {
            hour: known[hour] if hour in known else score(hour_of_posts(self._seed, asset, hour), key=_KEY)
            for hour in hours
        }
