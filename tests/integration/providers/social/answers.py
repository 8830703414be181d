"""Answers in the shape that the networks' documentation describes."""

import datetime as dt
from typing import Any

from tests.integration.providers.conftest import NOW


def submission(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One post of a Reddit listing."""
    data = {
        "subreddit": "Bitcoin",
        "id": f"1abc{number}",
        "name": f"t3_1abc{number}",
        "author": f"author_{number}",
        "author_fullname": f"t2_{number}",
        "title": "Adoption is growing",
        "selftext": "I am happy with my coins.",
        "created_utc": (NOW - dt.timedelta(minutes=number)).timestamp(),
        "created": (NOW - dt.timedelta(minutes=number)).timestamp(),
        "score": 12,
        "ups": 12,
        "downs": 0,
        "upvote_ratio": 0.93,
        "num_comments": 3,
        "is_self": True,
        "stickied": False,
        "over_18": False,
        "removed_by_category": None,
        "url": f"https://www.reddit.com/r/Bitcoin/comments/1abc{number}/",
        "permalink": f"/r/Bitcoin/comments/1abc{number}/",
    }
    return {"kind": "t3", "data": data | changes}


def listing(*children: Any) -> dict[str, Any]:
    """A Reddit listing."""
    data = {
        "after": None,
        "before": None,
        "dist": len(children),
        "modhash": "",
        "geo_filter": None,
        "children": list(children),
    }
    return {"kind": "Listing", "data": data}


def tweet(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One post of X."""
    return {
        "id": f"190000000000000000{number}",
        "text": "I am happy with $BTC #Bitcoin",
        "author_id": f"44{number}",
        "created_at": (NOW - dt.timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "edit_history_tweet_ids": [f"190000000000000000{number}"],
        "public_metrics": {
            "retweet_count": 2,
            "reply_count": 1,
            "like_count": 7,
            "quote_count": 0,
            "bookmark_count": 3,
            "impression_count": 900,
        },
    } | changes


def found(*tweets: Any, **changes: Any) -> dict[str, Any]:
    """An answer of X's recent search."""
    meta = {"newest_id": "1", "oldest_id": "2", "result_count": len(tweets), "next_token": "b26v89c19zqg8o3f"}
    return {"data": list(tweets), "meta": meta} | changes
