"""Snapshot: proposals as documented, and every way in which they may be less than that."""

import datetime as dt
from typing import Any

import pytest

from alphapulse.providers.errors import (
    AnswerMalformed,
    AssetUnknown,
    SourceBusy,
    SourceDown,
    SourceRefuses,
)
from alphapulse.providers.governance.snapshot import Snapshot
from alphapulse.providers.source import SourceContext
from tests.integration.providers.conftest import NOW
from tests.integration.providers.governance.answers import seconds, vote, votes
from tests.source_server import Reply, SourceServer


@pytest.fixture
def source(context: SourceContext) -> Snapshot:
    return Snapshot(context)


async def test_votes_become_proposals_newest_first(source: Snapshot, server: SourceServer) -> None:
    server.answer = lambda _: votes(vote(2), vote(1))

    found = await source.fetch("UNI")

    assert (found.source, found.retrieved_at, found.eligible_votes) == ("snapshot", NOW, None)
    assert found.treasury_usd is None
    assert [proposal.id[-1] for proposal in found.proposals] == ["1", "2"]
    newest = found.proposals[0]
    assert newest.started_at == NOW - dt.timedelta(days=10)
    assert newest.ended_at == NOW - dt.timedelta(days=7)
    assert (newest.votes_for, newest.votes_against, newest.votes_abstain) == (
        40_000_000.5,
        1_500_000.25,
        250_000.0,
    )
    assert (newest.state, newest.quorum, newest.voters) == ("passed", 10_000_000.0, 1234)
    assert newest.spends_treasury is None


async def test_question_names_the_space_and_goes_back_four_years(
    source: Snapshot, server: SourceServer
) -> None:
    server.answer = lambda _: votes()

    await source.fetch("UNI")

    (question,) = server.questions
    assert (question.method, question.path) == ("POST", "/graphql")
    assert question.headers["content-type"] == "application/json"
    assert question.document["variables"] == {"space": "uniswapgovernance.eth", "since": seconds(1460)}
    assert question.document["query"].count("{") == question.document["query"].count("}")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "passed"),
        ({"scores": [1e6, 4e7, 0.0]}, "defeated"),
        ({"scores": [4e6, 1e6, 0.0]}, "defeated"),
        ({"scores": [4e6, 1e6, 0.0], "quorum": None}, "passed"),
        ({"choices": ["Yes", "No"], "scores": [2e7, 1e7]}, "passed"),
        ({"choices": ["YAE", "NAY", "Abstain"], "scores": [2e7, 1e7, 0]}, "passed"),
        ({"choices": ["Against", "For"], "scores": [2e7, 1e7]}, "defeated"),
        ({"choices": ["Approve the grant", "Do not approve"], "scores": [2e7, 1e7]}, "passed"),
        ({"choices": ["Alice", "Bob", "Carol"]}, "closed"),
        ({"choices": ["For A", "For B", "Against"]}, "closed"),
        ({"choices": ["Nobody", "Yesterday", "Format"]}, "closed"),
        ({"state": "active", "scores_state": "pending"}, "active"),
        ({"state": "pending", "scores": [], "scores_state": "pending"}, "pending"),
    ],
)
async def test_state_follows_from_the_wording_of_choices_scores_and_quorum(
    source: Snapshot, server: SourceServer, changes: dict[str, Any], state: str
) -> None:
    server.answer = lambda _: votes(vote(1, **changes))

    (proposal,) = (await source.fetch("UNI")).proposals

    assert proposal.state == state


async def test_vote_among_options_keeps_all_that_took_part(source: Snapshot, server: SourceServer) -> None:
    server.answer = lambda _: votes(vote(1, choices=["A", "B"], scores=[3.0, 4.0]))

    (proposal,) = (await source.fetch("UNI")).proposals

    assert (proposal.votes, proposal.votes_against) == (7.0, 0.0)


@pytest.mark.parametrize(
    "changes", [{"flagged": True}, {"scores_state": "pending"}, {"scores_state": "invalid"}]
)
async def test_spam_and_votes_not_yet_counted_are_left_out(
    source: Snapshot, server: SourceServer, changes: dict[str, Any]
) -> None:
    server.answer = lambda _: votes(vote(1, **changes), vote(2))

    assert [proposal.id[-1] for proposal in (await source.fetch("UNI")).proposals] == ["2"]


async def test_odd_proposal_does_not_cost_the_others(source: Snapshot, server: SourceServer) -> None:
    odd = [vote(1, start=None), vote(2, scores=[1.0]), vote(3, state="unheard of"), vote(4, votes=-1)]
    server.answer = lambda _: votes(*odd, *(vote(number) for number in range(5, 10)))

    assert len((await source.fetch("UNI")).proposals) == 5


async def test_space_without_proposals_is_empty(source: Snapshot, server: SourceServer) -> None:
    server.answer = lambda _: votes()

    assert (await source.fetch("UNI")).proposals == ()


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"data": None},
        {"data": {}},
        {"data": {"proposals": None}},
        {"data": {"proposals": {}}},
        {"data": {"proposals": [None, 1]}},
        votes(vote(1, choices=None), vote(2, scores=["many"])),
        votes({"id": "1", "title": "other fields"}),
    ],
)
async def test_answer_of_another_shape_is_malformed(
    source: Snapshot, server: SourceServer, answer: Any
) -> None:
    server.answer = lambda _: answer

    with pytest.raises(AnswerMalformed, match="snapshot answered"):
        await source.fetch("UNI")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('Cannot query field "scores" on type "Proposal".', SourceDown),
        ("too many requests, please try again later", SourceBusy),
        ("unauthorized", SourceRefuses),
        (None, SourceDown),
    ],
)
async def test_errors_within_an_answer_of_success_are_errors_and_not_repeated(
    source: Snapshot, server: SourceServer, message: str | None, kind: type[Exception]
) -> None:
    server.answer = lambda _: {"errors": [{"message": message}], "data": None}

    with pytest.raises(kind) as raised:
        await source.fetch("UNI")

    assert message is None or message not in str(raised.value)


async def test_failures_of_the_service_are_told_apart(source: Snapshot, server: SourceServer) -> None:
    for status, kind in ((400, SourceRefuses), (500, SourceDown), (429, SourceBusy)):
        server.answer = lambda _, status=status: Reply({}, status=status)  # type: ignore[misc]
        with pytest.raises(kind):
            await source.fetch("UNI")


async def test_asset_without_a_space_is_not_asked_for(source: Snapshot, server: SourceServer) -> None:
    assert not source.covers("BTC")
    with pytest.raises(AssetUnknown):
        await source.fetch("BTC")

    assert server.questions == []
