"""Snapshot's hub, GraphQL: votes by signed messages in an organisation's space, without a key.

``POST /graphql`` with ``proposals(first, where: {space, created_gte}, orderBy: "created", orderDirection:
desc)`` answers ``{"data": {"proposals": [{"id", "type", "state": "pending" | "active" | "closed", "start",
"end", "choices", "scores", "scores_total", "scores_state", "votes", "quorum", "flagged"}]}}``; times are
seconds, and ``scores`` follow the order of ``choices``. A vote has no for and against of its own: they are
told by the wording of the choices, as *For*, *Against* and *Abstain* that a basic vote always has. A vote
among options is ``closed`` once it has ended. Snapshot does not tell whether a proposal spends the treasury.

One hundred requests a minute are allowed without a key.

References
----------
Snapshot, API, https://docs.snapshot.box/tools/api and /tools/api/api-keys
"""

import datetime as dt
import re
from typing import Any, Final

from alphapulse.domain.agents.evidence import Governance, Proposal
from alphapulse.providers.assets import ids_of
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.governance.reading import (
    ask,
    moment_of,
    read_proposals,
    text_of,
    votes_of,
    whole_of,
)
from alphapulse.providers.source import SourceContext
from alphapulse.providers.transport import reading

NAME: Final = "snapshot"
ADDRESS: Final = "https://hub.snapshot.org"
#: Below the hundred that are allowed.
PACE: Final = Pace(per_minute=60, burst=10)

#: Further back no agent looks.
HISTORY: Final = dt.timedelta(days=1460)
_MOST_VOTERS: Final = 10**9
_QUERY: Final = """
query Proposals($space: String!, $since: Int!) {
  proposals(
    first: 300
    where: { space: $space, created_gte: $since }
    orderBy: "created"
    orderDirection: desc
  ) {
    id state start end choices scores scores_state votes quorum flagged
  }
}
"""
_FOR: Final = re.compile(
    r"(?:yes|yae|yay|yea|aye|for|in favou?r|approve|accept|support|agree)\b", re.IGNORECASE
)
_AGAINST: Final = re.compile(
    r"(?:no|nay|against|reject|oppose|disapprove|disagree|do not|don't|make no changes?)\b", re.IGNORECASE
)
_ABSTAIN: Final = re.compile(r"abstain", re.IGNORECASE)


class Snapshot:
    """Votes in the space of an asset's organisation.

    Parameters
    ----------
    context
        Gives the client and the time.
    """

    name = NAME

    def __init__(self, context: SourceContext) -> None:
        self._client = context.client(NAME, ADDRESS, pace=PACE)
        self._clock = context.clock

    def covers(self, asset: str) -> bool:
        """Tell whether a space is known."""
        return ids_of(asset).snapshot_space is not None

    async def fetch(self, asset: str) -> Governance:
        """Return the newest proposals.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
            There are none to be had.
        """
        space = ids_of(asset).snapshot_space
        if space is None:
            raise AssetUnknown(f"{NAME} has no space of {asset}")
        now = self._clock()
        since = int((now - HISTORY).timestamp())
        data = await ask(self._client, "/graphql", _QUERY, {"space": space, "since": since})
        with reading(NAME, "proposals"):
            items = data["proposals"]
        return Governance(read_proposals(NAME, items, _proposal), None, None, NAME, now)


def _proposal(item: Any) -> Proposal | None:
    # While the scores of an ended vote are still counted, nobody knows how it ended.
    counted = item["state"] != "closed" or item.get("scores_state", "final") == "final"
    if item.get("flagged") or not counted:
        return None
    in_favour, against, abstained, told = _sides(item)
    quorum = votes_of(item.get("quorum") or 0)
    passed = in_favour > against and in_favour + against + abstained >= quorum
    return Proposal(
        id=text_of(item["id"]),
        started_at=moment_of(item["start"]),
        ended_at=moment_of(item["end"]),
        state=_state(item["state"], told=told, passed=passed),
        votes_for=in_favour,
        votes_against=against,
        votes_abstain=abstained,
        quorum=quorum or None,
        voters=whole_of(item["votes"], most=_MOST_VOTERS),
        spends_treasury=None,
    )


def _state(state: str, *, told: bool, passed: bool) -> str:
    if state in {"pending", "active"}:
        return state
    if state != "closed":
        raise ValueError("unknown state")
    if not told:
        return "closed"
    return "passed" if passed else "defeated"


def _sides(item: Any) -> tuple[float, float, float, bool]:
    """Return the votes for, against and abstaining, and whether the choices tell them apart."""
    choices = [text_of(choice).strip() for choice in item["choices"]]
    # Before the first vote there are no scores.
    scores = [votes_of(score) for score in item["scores"] or [0] * len(choices)]
    if len(scores) != len(choices):
        raise ValueError("there must be a score for every choice")
    sides = [_side(choice) for choice in choices]
    told = sides.count("for") == 1 and sides.count("against") == 1 and "" not in sides
    if not told:
        return sum(scores), 0.0, 0.0, False
    totals = dict.fromkeys(("for", "against", "abstain"), 0.0)
    for side, votes in zip(sides, scores, strict=True):
        totals[side] += votes
    return totals["for"], totals["against"], totals["abstain"], True


def _side(choice: str) -> str:
    for side, words in (("abstain", _ABSTAIN), ("against", _AGAINST), ("for", _FOR)):
        if words.match(choice):
            return side
    return ""
