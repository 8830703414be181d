"""Reddit's public listings as JSON: the newest posts of the subreddits about an asset, without a key.

``GET /r/<a>+<b>/new.json?limit=100&raw_json=1`` answers a ``Listing`` whose ``data.children`` are ``{"kind":
"t3", "data": {...}}`` with ``id, author, title, selftext, created_utc, score, num_comments, is_self, url,
stickied, removed_by_category``; ``raw_json=1`` leaves ``<``, ``>`` and ``&`` as they are. What was deleted or
removed keeps its place with ``[deleted]`` or ``[removed]`` instead of author or text. One request covers all
subreddits of an asset; a listing has at most 100 posts.

Reddit asks for a descriptive User-Agent (``<platform>:<app>:<version>``) and for few requests without a
login, and refuses some addresses altogether (403): then the agent says so, or abstains.

References
----------
Reddit, API documentation, https://www.reddit.com/dev/api#GET_new and https://github.com/reddit-archive/
reddit/wiki/API and /wiki/JSON
"""

from typing import Any, Final

from alphapulse.domain.agents.evidence import PostSample
from alphapulse.providers.assets import ids_of
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.social.reading import count_of, moment_of, read_posts, sample_of, text_of
from alphapulse.providers.social.scoring import RawPost
from alphapulse.providers.source import SourceContext
from alphapulse.providers.transport import reading

NAME: Final = "reddit"
ADDRESS: Final = "https://www.reddit.com"
#: Ten a minute is what is allowed without a login.
PACE: Final = Pace(per_minute=10, burst=5)
USER_AGENT: Final = "server:alphapulse:0.1.0 (reads public listings for market analysis)"

_LIMIT: Final = "100"
_GONE: Final = frozenset({"[deleted]", "[removed]"})


class Reddit:
    """The newest posts of the subreddits about an asset.

    Parameters
    ----------
    context
        Gives the client and the time.
    """

    name = NAME

    def __init__(self, context: SourceContext) -> None:
        self._client = context.client(NAME, ADDRESS, pace=PACE, headers={"User-Agent": USER_AGENT})
        self._clock = context.clock

    def covers(self, asset: str) -> bool:
        """Tell whether there are subreddits about an asset."""
        return bool(ids_of(asset).subreddits)

    async def fetch(self, asset: str) -> PostSample:
        """Return the newest posts.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
            There are none to be had.
        """
        subreddits = ids_of(asset).subreddits
        if not subreddits:
            raise AssetUnknown(f"{NAME} has no subreddit about {asset}")
        answer: Any = await self._client.get(
            f"/r/{'+'.join(subreddits)}/new.json", {"limit": _LIMIT, "raw_json": "1"}
        )
        with reading(NAME, "a listing"):
            children = answer["data"]["children"]
        return await sample_of(NAME, read_posts(NAME, children, _post), clock=self._clock)


def _post(child: Any) -> RawPost | None:
    data = child["data"]
    author, title = text_of(data["author"]), text_of(data["title"])
    body = data.get("selftext") or ""
    # Announcements stay on top of a subreddit for weeks, and moderation's notes are no mood.
    if (
        child["kind"] != "t3"
        or _GONE & {author, body}
        or data.get("removed_by_category")
        or data.get("stickied")
    ):
        return None
    return RawPost(
        id=text_of(data["id"]),
        network=NAME,
        posted_at=moment_of(data["created_utc"]),
        author=author,
        text=f"{title}\n{text_of(body)}",
        engagement=max(count_of(data["score"]), 0.0) + max(count_of(data["num_comments"]), 0.0),
        attached_links=0 if data.get("is_self", True) else 1,
    )
