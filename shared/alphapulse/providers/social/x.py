"""X API v2, recent search: posts of the last week that name an asset; needs a bearer token.

``GET /2/tweets/search/recent?query=<query>&max_results=100&tweet.fields=author_id,created_at,public_metrics``
answers ``{"data": [{"id", "text", "author_id", "created_at", "public_metrics": {"like_count", "reply_count",
"repost_count" or "retweet_count", "quote_count"}}], "meta": {"result_count", ...}}``; nothing found is
``{"meta": {"result_count": 0}}``, and ``errors`` beside ``data`` tells of posts that could not be shown. The
query leaves reposts out and asks for English, which the scoring reads.

A limit holds per 15 minutes for an app; X announces its end in ``x-rate-limit-reset``, until which a 429
pauses the source.

References
----------
X, Search recent Posts, https://docs.x.com/x-api/posts/search-recent-posts; Rate limits,
https://docs.x.com/x-api/fundamentals/rate-limits
"""

from typing import Any, Final

from alphapulse.domain.agents.evidence import PostSample
from alphapulse.providers.assets import ids_of
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AnswerMalformed, AssetUnknown, NotConfigured
from alphapulse.providers.social.reading import count_of, moment_of_text, read_posts, sample_of, text_of
from alphapulse.providers.social.scoring import RawPost
from alphapulse.providers.source import SourceContext
from alphapulse.providers.transport import reading

NAME: Final = "x"
ADDRESS: Final = "https://api.x.com"
#: 450 in 15 minutes are allowed for an app; posts that are read are paid for.
PACE: Final = Pace(per_minute=25, burst=5)

_LIMIT: Final = "100"
_FIELDS: Final = "author_id,created_at,public_metrics"
_METRICS: Final = ("like_count", "reply_count", "retweet_count", "repost_count", "quote_count")


class X:
    """The newest posts that name an asset.

    Parameters
    ----------
    context
        Gives the client, the time, and the platform's bearer token under the name ``x``, where one is set.
    """

    name = NAME

    def __init__(self, context: SourceContext) -> None:
        self._client = context.client(NAME, ADDRESS, pace=PACE)
        self._token = context.key_of(NAME)
        self._clock = context.clock

    def covers(self, asset: str) -> bool:
        """Tell whether it is known what to search for."""
        return ids_of(asset).x_query is not None

    async def fetch(self, asset: str, *, token: str | None = None) -> PostSample:
        """Return the newest posts.

        Parameters
        ----------
        asset
            The base currency.
        token
            Bearer token to ask with instead of the platform's, within the platform's budget.

        Raises
        ------
        alphapulse.providers.errors.NotConfigured
            There is no token.
        alphapulse.providers.errors.ProviderError
            There is nothing to be had.
        """
        query = ids_of(asset).x_query
        if query is None:
            raise AssetUnknown(f"{NAME} is not searched for {asset}")
        bearer = token or self._token
        if not bearer:
            raise NotConfigured(f"no key is set for {NAME}")
        question = {
            "query": f"{query} lang:en -is:retweet",
            "max_results": _LIMIT,
            "sort_order": "recency",
            "tweet.fields": _FIELDS,
        }
        # With each request, because a tenant's token is not the client's.
        headers = {"Authorization": f"Bearer {bearer}"}
        answer: Any = await self._client.get("/2/tweets/search/recent", question, headers=headers)
        with reading(NAME, "a search"):
            found = answer.get("data")
            if found is None and answer["meta"]["result_count"] != 0:
                raise AnswerMalformed(f"{NAME} answered a search without its posts")
        return await sample_of(NAME, read_posts(NAME, found or [], _post), clock=self._clock)


def _post(item: Any) -> RawPost:
    metrics = item["public_metrics"]
    return RawPost(
        id=text_of(item["id"]),
        network=NAME,
        posted_at=moment_of_text(item["created_at"]),
        author=text_of(item["author_id"]),
        text=text_of(item["text"]),
        # Reposts have an old and a new name; an answer carries one of them.
        engagement=sum(max(count_of(metrics.get(name, 0)), 0.0) for name in _METRICS),
    )
