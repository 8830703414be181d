"""Simulated posts, which go with the clock and say in every sample that they are simulated.

The posts of an hour follow from the seed, the asset and the hour alone, whoever asks and whenever. They come
with what makes real ones hard to read: bursts, copies spread by many accounts, posts stuffed with tags or
links, authors who never stop. Each is written out and scored as a live post is.
"""

import asyncio
from datetime import timedelta
from typing import Final, Literal

from alphapulse.domain.agents.evidence import PostSample, ScoredPost
from alphapulse.providers.candles.simulation import ASSETS, FIRST_DAY
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.social.scoring import score
from alphapulse.providers.social.simulation import hour_of_posts
from alphapulse.providers.source import SourceContext

_HOURS: Final = 48
_HOUR: Final = 3600
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
        self._made: dict[tuple[str, int], tuple[ScoredPost, ...]] = {}

    def covers(self, asset: str) -> bool:
        """Tell whether the asset has simulated candles."""
        return asset in ASSETS

    async def fetch(self, asset: str) -> PostSample:
        """Return the posts of the last two days.

        Raises
        ------
        AssetUnknown
            The asset is not simulated, or nothing is yet at this time.
        """
        now = self._clock()
        last = int(now.timestamp()) // _HOUR
        if not self.covers(asset) or last < FIRST_DAY * 24:
            raise AssetUnknown(f"{asset} is not simulated")
        hours = range(last, last - _HOURS - 1, -1)
        if any((asset, hour) not in self._made for hour in hours):
            await asyncio.to_thread(self._make, asset, hours)
        oldest = now - timedelta(hours=_HOURS)
        posts = (post for hour in hours for post in self._made[asset, hour])
        return PostSample(tuple(post for post in posts if oldest < post.posted_at <= now), self.name, now)

    def _make(self, asset: str, hours: range) -> None:
        made = {
            (asset, hour): self._made.get((asset, hour))
            or score(hour_of_posts(self._seed, asset, hour), key=_KEY)
            for hour in hours
        }
        # What has gone out of the window will not be asked for again. One assignment, as threads may race.
        others = {key: posts for key, posts in self._made.items() if key[0] != asset}
        self._made = others | made
