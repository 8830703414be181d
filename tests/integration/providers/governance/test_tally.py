"""Tally: proposals as documented, and every way in which they may be less than that."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from alphapulse.providers.errors import (
    AnswerMalformed,
    AssetUnknown,
    NotConfigured,
    SourceBusy,
    SourceDown,
    SourceRefuses,
)
from alphapulse.providers.governance.tally import Tally
from alphapulse.providers.providers import ProviderOptions
from alphapulse.providers.source import SourceContext
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers.conftest import NOW, Clock
from tests.integration.providers.governance.answers import node, nodes, organization
from tests.integration.providers.governance.conftest import KEY
from tests.source_server import Question, Reply, SourceServer


@pytest.fixture
def source(context: SourceContext) -> Tally:
    return Tally(context)


def answer_nodes(server: SourceServer, *items: Any) -> None:
    def answer(question: Question) -> Any:
        return organization() if "organization(" in question.document["query"] else nodes(*items)

    server.answer = answer


async def test_nodes_become_proposals_in_whole_tokens(source: Tally, server: SourceServer) -> None:
    answer_nodes(server, node(2), node(1))

    found = await source.fetch("UNI")

    assert (found.source, found.retrieved_at, found.eligible_votes) == ("tally", NOW, 250_000_000.0)
    newest = found.proposals[0]
    assert newest.started_at == NOW - dt.timedelta(days=10)
    assert (newest.votes_for, newest.votes_against, newest.votes_abstain) == (52e6, 1e6, 5e5)
    assert (newest.state, newest.quorum, newest.voters) == ("passed", 40e6, 335)
    assert newest.spends_treasury is False


async def test_organisation_is_looked_up_once_and_the_key_is_sent(
    source: Tally, server: SourceServer
) -> None:
    answer_nodes(server, node(1))

    await source.fetch("UNI")
    await source.fetch("UNI")

    assert [question.path for question in server.questions] == ["/query"] * 3
    assert {question.headers["api-key"] for question in server.questions} == {KEY}
    assert server.questions[0].document["variables"] == {"input": {"slug": "uniswap"}}
    assert server.questions[1].document["variables"]["input"] == {
        "filters": {"organizationId": "2206072050458560434"},
        "page": {"limit": 20},
        "sort": {"isDescending": True, "sortBy": "id"},
    }


async def test_pages_are_followed_up_to_the_fourth(source: Tally, server: SourceServer) -> None:
    cursors: list[Any] = []

    def answer(question: Question) -> Any:
        if "organization(" in question.document["query"]:
            return organization()
        cursors.append(question.document["variables"]["input"]["page"].get("afterCursor"))
        page = len(cursors)
        return nodes(*(node(20 * page + number) for number in range(20)), cursor=f"after {page}")

    server.answer = answer

    found = await source.fetch("UNI")

    assert cursors == [None, "after 1", "after 2", "after 3"]
    assert len(found.proposals) == 80


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", "pending"),
        ("active", "active"),
        ("extended", "active"),
        ("succeeded", "passed"),
        ("queued", "passed"),
        ("crosschainexecuted", "passed"),
        ("expired", "passed"),
        ("defeated", "defeated"),
        ("vetoed", "defeated"),
        ("canceled", "cancelled"),
    ],
)
async def test_every_status_has_its_state(
    source: Tally, server: SourceServer, status: str, state: str
) -> None:
    answer_nodes(server, node(1, status=status))

    assert (await source.fetch("UNI")).proposals[0].state == state


async def test_drafts_are_no_proposals(source: Tally, server: SourceServer) -> None:
    answer_nodes(server, node(1, status="draft"), node(2, status="archived"), node(3))

    assert len((await source.fetch("UNI")).proposals) == 1


@pytest.mark.parametrize(
    ("calls", "spends"),
    [
        ([{"type": "erc20transfer", "value": "0"}], True),
        ([{"type": "custom", "value": "0"}, {"type": "nativetransfer", "value": "5"}], True),
        ([{"type": None, "value": "1000000000000000000"}], True),
        ([{"type": "custom", "value": "0"}], False),
        ([], False),
        (None, None),
    ],
)
async def test_proposal_that_transfers_spends_the_treasury(
    source: Tally, server: SourceServer, calls: Any, spends: bool | None
) -> None:
    answer_nodes(server, node(1, executableCalls=calls))

    assert (await source.fetch("UNI")).proposals[0].spends_treasury is spends


async def test_proposal_without_votes_yet_has_none(source: Tally, server: SourceServer) -> None:
    answer_nodes(server, node(1, status="pending", voteStats=None, quorum=None))

    (proposal,) = (await source.fetch("UNI")).proposals

    assert (proposal.votes, proposal.voters, proposal.quorum) == (0.0, 0, None)


async def test_odd_proposal_does_not_cost_the_others(source: Tally, server: SourceServer) -> None:
    odd = [node(1, status="unheard of"), node(2, start=None), node(3, governor={"token": {"decimals": 99}})]
    answer_nodes(server, *odd, *(node(number) for number in range(4, 8)))

    assert len((await source.fetch("UNI")).proposals) == 4


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"data": None},
        {"data": {}},
        {"data": {"organization": None}},
        {"data": {"organization": {"id": None}}},
    ],
)
async def test_organisation_of_another_shape_is_malformed(
    source: Tally, server: SourceServer, answer: Any
) -> None:
    server.answer = lambda _: answer

    with pytest.raises(AnswerMalformed, match="tally answered"):
        await source.fetch("UNI")


@pytest.mark.parametrize(
    "page",
    [
        {"data": {"proposals": None}},
        {"data": {"proposals": {"nodes": None, "pageInfo": {"lastCursor": None}}}},
        {"data": {"proposals": {"nodes": []}}},
        nodes(None, 7),
        nodes({"id": "1"}),
        nodes(node(1, voteStats=[{"type": "for", "votesCount": "-5", "votersCount": 1}])),
    ],
)
async def test_page_of_another_shape_is_malformed(source: Tally, server: SourceServer, page: Any) -> None:
    def answer(question: Question) -> Any:
        return organization() if "organization(" in question.document["query"] else page

    server.answer = answer

    with pytest.raises(AnswerMalformed, match="tally answered"):
        await source.fetch("UNI")


async def test_failures_of_the_service_are_told_apart_and_hide_the_key(
    source: Tally, server: SourceServer
) -> None:
    cases = (
        (Reply({"errors": [{"message": f"invalid api key {KEY}"}]}), SourceRefuses),
        (Reply({"message": KEY}, status=401), SourceRefuses),
        (Reply({}, status=502), SourceDown),
        (Reply({}, status=429), SourceBusy),
    )
    for reply, kind in cases:
        server.answer = lambda _, reply=reply: reply  # type: ignore[misc]
        with pytest.raises(kind) as raised:
            await source.fetch("UNI")
        assert KEY not in str(raised.value)


async def test_without_a_key_nothing_is_asked(
    options: ProviderOptions, clock: Clock, server: SourceServer
) -> None:
    context = SourceContext(replace(options, keys={}), CacheConnection(None), clock=clock)

    with pytest.raises(NotConfigured, match=r"^no key is set for tally$"):
        await Tally(context).fetch("UNI")

    assert server.questions == []


async def test_asset_without_an_organisation_is_not_asked_for(source: Tally, server: SourceServer) -> None:
    assert not source.covers("BTC")
    with pytest.raises(AssetUnknown):
        await source.fetch("BTC")

    assert server.questions == []
