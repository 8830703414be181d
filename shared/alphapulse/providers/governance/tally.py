"""Tally's GraphQL API: votes on chain by Governor contracts; needs a key.

``POST /query`` with the header ``Api-Key``. ``organization(input: {slug})`` gives an organisation's ``id``;
``proposals(input: {filters: {organizationId}, page: {limit: 20, afterCursor}, sort: {isDescending: true,
sortBy: id}})`` gives ``nodes`` with ``status, quorum, start, end, voteStats [{type, votesCount,
votersCount}], executableCalls [{type, value}], governor {delegatesVotesCount, token {decimals}}`` and
``pageInfo.lastCursor``.
Votes are texts of whole numbers in the token's smallest unit; a page has at most 20. Only votes on a chain
tell what they pay: a proposal that transfers tokens or native currency spends the treasury.

The service allows about one request a second to a free key.

References
----------
Tally, API reference, https://docs.tally.xyz/tally-features/welcome and https://apidocs.tally.xyz
"""

from collections.abc import Mapping
from typing import Any, Final

from alphapulse.domain.agents.evidence import Governance, Proposal
from alphapulse.providers.assets import ids_of
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AssetUnknown, NotConfigured
from alphapulse.providers.governance.reading import (
    UNREADABLE,
    ask,
    moment_of_text,
    read_proposals,
    text_of,
    votes_of,
    whole_of,
)
from alphapulse.providers.source import SourceContext
from alphapulse.providers.transport import reading

NAME: Final = "tally"
ADDRESS: Final = "https://api.tally.xyz"
#: A page after the other within the time that reading may take, below one a second.
PACE: Final = Pace(per_minute=50, burst=2)

_PATH: Final = "/query"
_PAGES: Final = 4
_PAGE_LIMIT: Final = 20
_MOST_VOTERS: Final = 10**9
_MOST_DECIMALS: Final = 36
_ORGANIZATION: Final = "query Organization($input: OrganizationInput!) { organization(input: $input) { id } }"
_PROPOSALS: Final = """
query Proposals($input: ProposalsInput!) {
  proposals(input: $input) {
    nodes {
      ... on Proposal {
        id status quorum
        start { ... on Block { timestamp } ... on BlocklessTimestamp { timestamp } }
        end { ... on Block { timestamp } ... on BlocklessTimestamp { timestamp } }
        voteStats { type votesCount votersCount }
        executableCalls { type value }
        governor { delegatesVotesCount token { decimals } }
      }
    }
    pageInfo { lastCursor }
  }
}
"""
_STATES: Final[Mapping[str, str]] = {
    "pending": "pending",
    "submitted": "pending",
    "active": "active",
    "extended": "active",
    "succeeded": "passed",
    "queued": "passed",
    "pendingexecution": "passed",
    "executed": "passed",
    "callexecuted": "passed",
    "crosschainexecuted": "passed",
    # It had passed, and was not carried out in time.
    "expired": "passed",
    "defeated": "defeated",
    "vetoed": "defeated",
    "canceled": "cancelled",
}
_DRAFTS: Final = frozenset({"draft", "archived"})
_PAYING: Final = frozenset({"erc20transfer", "erc20transferarbitrum", "nativetransfer"})


class Tally:
    """Votes of an asset's organisation on chain.

    Parameters
    ----------
    context
        Gives the client, the time and the key under the name ``tally``, where one is set.
    """

    name = NAME

    def __init__(self, context: SourceContext) -> None:
        key = context.key_of(NAME)
        self._client = context.client(NAME, ADDRESS, pace=PACE, headers={"Api-Key": key}) if key else None
        self._clock = context.clock
        self._organizations: dict[str, str] = {}

    def covers(self, asset: str) -> bool:
        """Tell whether an organisation is known."""
        return ids_of(asset).tally_organization is not None

    async def fetch(self, asset: str) -> Governance:
        """Return the newest proposals.

        Raises
        ------
        alphapulse.providers.errors.NotConfigured
            There is no key.
        alphapulse.providers.errors.ProviderError
            There are none to be had.
        """
        slug = ids_of(asset).tally_organization
        if slug is None:
            raise AssetUnknown(f"{NAME} has no organisation of {asset}")
        if self._client is None:
            raise NotConfigured(f"no key is set for {NAME}")
        now = self._clock()
        nodes = await self._nodes(await self._organization(slug))
        proposals = read_proposals(NAME, nodes, _proposal)
        return Governance(proposals, _eligible(nodes), None, NAME, now)

    async def _organization(self, slug: str) -> str:
        known = self._organizations.get(slug)
        if known is None:
            data = await self._ask(_ORGANIZATION, {"slug": slug})
            with reading(NAME, "an organisation"):
                known = self._organizations[slug] = text_of(data["organization"]["id"])
        return known

    async def _nodes(self, organization: str) -> list[Any]:
        nodes: list[Any] = []
        page: dict[str, Any] = {"limit": _PAGE_LIMIT}
        for _ in range(_PAGES):
            question = {
                "filters": {"organizationId": organization},
                "page": page,
                "sort": {"isDescending": True, "sortBy": "id"},
            }
            data = await self._ask(_PROPOSALS, question)
            with reading(NAME, "proposals"):
                found, cursor = list(data["proposals"]["nodes"]), data["proposals"]["pageInfo"]["lastCursor"]
            nodes += found
            if len(found) < _PAGE_LIMIT or not cursor:
                break
            page = {"limit": _PAGE_LIMIT, "afterCursor": cursor}
        return nodes

    async def _ask(self, query: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._client is None:
            raise NotConfigured(f"no key is set for {NAME}")
        return await ask(self._client, _PATH, query, {"input": question})


def _proposal(node: Any) -> Proposal | None:
    status = text_of(node["status"])
    if status in _DRAFTS:
        return None
    decimals = _decimals(node)
    stats = {text_of(stat["type"]): stat for stat in node["voteStats"] or []}
    sides = [
        votes_of(stats[side]["votesCount"], decimals=decimals) if side in stats else 0.0
        for side in ("for", "against", "abstain")
    ]
    quorum = node.get("quorum")
    return Proposal(
        id=text_of(node["id"]),
        started_at=moment_of_text(node["start"]["timestamp"]),
        ended_at=moment_of_text(node["end"]["timestamp"]),
        state=_STATES[status],
        votes_for=sides[0],
        votes_against=sides[1],
        votes_abstain=sides[2],
        quorum=(votes_of(quorum, decimals=decimals) or None) if quorum is not None else None,
        voters=sum(whole_of(stat["votersCount"], most=_MOST_VOTERS) for stat in stats.values()),
        spends_treasury=_spends(node["executableCalls"]),
    )


def _decimals(node: Any) -> int:
    return whole_of(node["governor"]["token"]["decimals"], most=_MOST_DECIMALS)


def _spends(calls: Any) -> bool | None:
    if calls is None:
        return None
    return any(call["type"] in _PAYING or votes_of(call["value"] or 0) > 0 for call in calls)


def _eligible(nodes: list[Any]) -> float | None:
    """Return the voting power that is delegated now: without delegation a token has no vote on chain."""
    for node in nodes:
        try:
            return votes_of(node["governor"]["delegatesVotesCount"], decimals=_decimals(node)) or None
        except UNREADABLE:
            continue
    return None
