"""Answers in the shape that the platforms' documentation describes."""

import datetime as dt
from typing import Any

from tests.integration.providers.conftest import NOW
from tests.source_server import Question, Reply

UNITS = 10**18


def seconds(days_ago: float) -> int:
    """Seconds since 1970."""
    return int((NOW - dt.timedelta(days=days_ago)).timestamp())


def moment(days_ago: float) -> str:
    """RFC 3339."""
    return (NOW - dt.timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def vote(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One proposal of Snapshot."""
    return {
        "id": f"0x{number:064x}",
        "state": "closed",
        "start": seconds(10 * number),
        "end": seconds(10 * number - 3),
        "choices": ["For", "Against", "Abstain"],
        "scores": [40_000_000.5, 1_500_000.25, 250_000.0],
        "scores_state": "final",
        "votes": 1234,
        "quorum": 10_000_000,
        "flagged": False,
    } | changes


def votes(*items: Any) -> dict[str, Any]:
    """An answer of Snapshot."""
    return {"data": {"proposals": list(items)}}


def node(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One proposal of Tally."""
    return {
        "id": f"22074501436895409{number:02}",
        "status": "executed",
        "quorum": str(40_000_000 * UNITS),
        "start": {"timestamp": moment(10 * number)},
        "end": {"timestamp": moment(10 * number - 3)},
        "voteStats": [
            {"type": "for", "votesCount": str(52_000_000 * UNITS), "votersCount": 310},
            {"type": "against", "votesCount": str(1_000_000 * UNITS), "votersCount": 21},
            {"type": "abstain", "votesCount": str(500_000 * UNITS), "votersCount": 4},
            {"type": "pendingfor", "votesCount": "0", "votersCount": 0},
        ],
        "executableCalls": [{"type": "custom", "value": "0"}],
        "governor": {"delegatesVotesCount": str(250_000_000 * UNITS), "token": {"decimals": 18}},
    } | changes


def nodes(*items: Any, cursor: str | None = None) -> dict[str, Any]:
    """A page of Tally."""
    return {"data": {"proposals": {"nodes": list(items), "pageInfo": {"lastCursor": cursor}}}}


def organization() -> dict[str, Any]:
    """An organisation of Tally."""
    return {"data": {"organization": {"id": "2206072050458560434"}}}


def treasury(*values: Any, until_days_ago: int = 1) -> dict[str, Any]:
    """A treasury of DefiLlama, one value a day."""
    midnight = seconds(0) // 86_400 * 86_400
    points = [
        {"date": midnight - (until_days_ago + len(values) - 1 - index) * 86_400, "totalLiquidityUSD": value}
        for index, value in enumerate(values)
    ]
    return {
        "id": "treasury",
        "name": "Uniswap (treasury)",
        "symbol": "UNI",
        "currentChainTvls": {"Ethereum": 1.0, "Ethereum-OwnTokens": 2.0, "OwnTokens": 2.0},
        "chainTvls": {"Ethereum": {"tvl": points}, "OwnTokens": {"tvl": points}},
        "tvl": points,
    }


def everything(question: Question) -> Any:
    """All platforms at one address."""
    if question.path == "/graphql":
        return votes(*(vote(number) for number in range(1, 13)))
    if question.path == "/query":
        if "organization(" in question.document["query"]:
            return organization()
        return nodes(*(node(number) for number in range(1, 9)))
    if question.path.startswith("/treasury/"):
        return treasury(*(1e8 + day * 1e5 for day in range(120)))
    return Reply(status=404, body={})
