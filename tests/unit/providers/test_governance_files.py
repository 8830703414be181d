"""Governance from files: what is in them, and what may be wrong with them."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from alphapulse.domain.agents.activist import speak
from alphapulse.domain.agents.activist_parameters import ActivistParameters
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Signal
from alphapulse.providers.errors import AssetUnknown, BrokenFile
from alphapulse.providers.governance.files import GovernanceFiles
from alphapulse.providers.source import ProviderOptions, SourceContext, SourceKind
from alphapulse.tenancy.cache import CacheConnection

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def proposal(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "started_at": f"2024-{1 + number % 12:02}-01T00:00:00Z",
        "ended_at": f"2024-{1 + number % 12:02}-04T00:00:00Z",
        "state": "passed",
        "votes_for": 900.5,
        "votes_against": 100,
        "quorum": 400,
        "voters": 12,
        "spends_treasury": True,
    } | changes


def document(*proposals: Any, **changes: Any) -> dict[str, Any]:
    treasury = {"2024-01-02": 2e6, "2024-01-01": 1e6}
    return {"proposals": list(proposals), "eligible_votes": 10_000, "treasury_usd": treasury} | changes


def write(directory: Path, content: Any) -> GovernanceFiles:
    (directory / "governance").mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (directory / "governance" / "UNI.json").write_text(text, encoding="utf-8")
    options = ProviderOptions(kind=SourceKind.DIRECTORY, directory=directory)
    return GovernanceFiles(SourceContext(options, CacheConnection(None), clock=lambda: NOW))


async def test_file_becomes_proposals_newest_first_and_a_treasury(tmp_path: Path) -> None:
    found = await write(tmp_path, document(proposal(1), proposal(2))).fetch("UNI")

    assert (found.source, found.retrieved_at, found.eligible_votes) == ("directory", NOW, 10_000.0)
    assert [item.id for item in found.proposals] == ["2", "1"]
    newest = found.proposals[0]
    assert newest.started_at == datetime(2024, 3, 1, tzinfo=UTC)
    assert (newest.votes_for, newest.votes_against, newest.votes_abstain) == (900.5, 100.0, 0.0)
    assert (newest.quorum, newest.voters, newest.spends_treasury) == (400.0, 12, True)
    assert found.treasury_usd is not None
    assert found.treasury_usd.days == (date(2024, 1, 1), date(2024, 1, 2))
    assert found.treasury_usd.values.tolist() == [1e6, 2e6]


async def test_what_is_not_known_may_be_left_out(tmp_path: Path) -> None:
    needed = ("id", "started_at", "ended_at", "state", "votes_for", "votes_against")
    bare = {key: value for key, value in proposal().items() if key in needed}

    found = await write(tmp_path, {"proposals": [bare]}).fetch("UNI")

    assert (found.eligible_votes, found.treasury_usd) == (None, None)
    (item,) = found.proposals
    assert (item.quorum, item.voters, item.spends_treasury) == (None, 0, None)


async def test_agent_speaks_from_a_file_of_any_age(tmp_path: Path) -> None:
    source = write(tmp_path, document(*(proposal(number) for number in range(12))))

    found = await source.fetch("UNI")
    said = speak(Evidence("UNI-USDT", Interval.DAY, NOW, governance=found), ActivistParameters())

    assert isinstance(said, Signal)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "line 1: must be a JSON object, was list"),
        ("{", "line 1: is no JSON"),
        ('{"proposals": [NaN]}', ": NaN is no number in JSON"),
        ({}, ": it lacks proposals"),
        (document(other=1), ": it has unknown keys; known are"),
        (document(proposals={}), ": proposals must be a list"),
        (document(7), ": proposal 1 must be an object, was int"),
        (document(proposal(), {"id": "2"}), ": proposal 2 lacks ended_at"),
        (document(proposal(text="secret")), ": proposal 1 has unknown keys"),
        (document(proposal(state="won")), ": proposal 1 cannot be read: state must be one of active"),
        (document(proposal(votes_for=-1)), ": proposal 1 cannot be read: must be at least 0"),
        (document(proposal(votes_for="9")), ": proposal 1 cannot be read: must be a number, was str"),
        (document(proposal(started_at=1)), ": proposal 1 cannot be read: must be a text, was int"),
        (document(proposal(voters=1.5)), ": proposal 1 cannot be read: must be a whole number"),
        (document(proposal(spends_treasury="yes")), ": proposal 1 cannot be read: spends_treasury must be"),
        (document(eligible_votes="all"), ": eligible_votes cannot be read"),
        (document(treasury_usd=[1]), ": treasury_usd cannot be read"),
        (document(treasury_usd={"yesterday": 1}), ": treasury_usd cannot be read"),
    ],
)
async def test_broken_file_is_named_with_what_is_wrong(tmp_path: Path, content: Any, problem: str) -> None:
    source = write(tmp_path, content)

    with pytest.raises(BrokenFile) as raised:
        await source.fetch("UNI")

    assert str(raised.value).removeprefix("governance/UNI.json").lstrip().startswith(problem)


async def test_asset_without_a_file_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(AssetUnknown, match=r"there is no data file governance/BTC\.json"):
        await write(tmp_path, document()).fetch("BTC")
