"""What holds for each of the six agents, whatever it is given."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from alphapulse.domain.agents.evidence import Dataset, Evidence
from alphapulse.domain.agents.registry import AGENT_NAMES, agent, parameters_of
from alphapulse.domain.signals import Abstention, Signal, signal_document
from tests.unit.domain.agents.builders import bars, figures, full_evidence, posts
from tests.unit.domain.agents.changes import (
    CHANGES,
    INPUTS,
    later,
    nothing_gathered,
    of_all,
    truncated,
    without,
)
from tests.unit.domain.agents.soundness import say

every_agent = pytest.mark.parametrize("name", AGENT_NAMES)


@pytest.fixture(scope="module", params=["simulated", "directory"])
def evidence(request: pytest.FixtureRequest) -> Evidence:
    return full_evidence(source=request.param)


@every_agent
@pytest.mark.parametrize("case", CHANGES)
def test_whatever_the_data_an_agent_speaks_soundly_or_abstains_with_a_reason(
    name: str, case: str, evidence: Evidence
) -> None:
    changed = CHANGES[case](evidence)

    first, second = say(name, changed), say(name, CHANGES["full data"](changed))

    assert json.dumps(signal_document(first)) == json.dumps(signal_document(second))


@every_agent
def test_full_data_give_a_signal(name: str, evidence: Evidence) -> None:
    assert isinstance(say(name, evidence), Signal)


@every_agent
@pytest.mark.parametrize(
    "case",
    [
        "nothing gathered",
        "nothing in it",
        "one bar, day, post and proposal",
    ],
)
def test_without_data_every_agent_abstains(name: str, case: str, evidence: Evidence) -> None:
    assert isinstance(say(name, CHANGES[case](evidence)), Abstention)


# The activist counts proposals and how they ended: without usable votes there is still something to count.
@pytest.mark.parametrize("name", [item for item in AGENT_NAMES if item != "activist"])
@pytest.mark.parametrize(
    "case", ["NaN everywhere", "infinite everywhere", "huge everywhere", "tiny everywhere", "negative"]
)
def test_without_usable_figures_agents_abstain(name: str, case: str, evidence: Evidence) -> None:
    # A polarity next to 0 is an opinion like any other.
    spoken = say(name, CHANGES[case](evidence))

    assert isinstance(spoken, Signal if (name, case) == ("sentiment", "tiny everywhere") else Abstention)


@every_agent
def test_reason_of_a_source_that_is_down_is_the_reason_of_the_abstention(
    name: str, evidence: Evidence
) -> None:
    abstention = say(name, nothing_gathered(evidence))

    assert isinstance(abstention, Abstention)
    assert any(f"the source of {dataset.value} is down" in abstention.reason for dataset in agent(name).reads)


@every_agent
def test_stale_data_abstain_and_replayed_data_do_not(name: str) -> None:
    stale = later(timedelta(days=3653))

    assert isinstance(say(name, stale(full_evidence(source="simulated"))), Abstention)
    assert isinstance(say(name, replace(stale(full_evidence(source="directory")), supply={})), Signal)


@pytest.mark.parametrize("name", ["technical", "fundamental", "buffett"])
def test_figures_that_never_change_are_no_evidence(name: str, evidence: Evidence) -> None:
    assert isinstance(say(name, of_all(42.0)(evidence)), Abstention)


@every_agent
@pytest.mark.parametrize("missing", INPUTS)
def test_each_missing_input_is_told_or_was_not_read(name: str, missing: str, evidence: Evidence) -> None:
    whole, part = say(name, evidence), say(name, without(evidence, missing))

    dataset, _, figure = missing.partition(".")
    if dataset not in agent(name).reads:
        assert part == whole
    elif isinstance(part, Abstention):
        assert figure in part.reason
        assert figure or "the source is down" in part.reason
    elif part != whole:
        # For days with activity, the number of addresses stands in for the number of transactions.
        told = "active_addresses on" if (name, figure) == ("buffett", "transactions") else figure
        assert any(told in reason for reason in part.reasons)


@every_agent
@pytest.mark.parametrize("unread", [item.value for item in Dataset])
def test_agents_read_what_they_declare_and_nothing_else(name: str, unread: str, evidence: Evidence) -> None:
    if unread in agent(name).reads:
        assert say(name, without(evidence, unread)) != say(name, evidence)
    else:
        assert say(name, without(evidence, unread)) == say(name, evidence)


@pytest.mark.parametrize("name", ["fundamental", "value", "buffett"])
@pytest.mark.parametrize("case", ["days unordered", "days backwards", "days repeated"])
def test_order_of_days_changes_nothing(name: str, case: str, evidence: Evidence) -> None:
    assert say(name, CHANGES[case](evidence)) == say(name, evidence)


@pytest.mark.parametrize("name", [item for item in AGENT_NAMES if item != "technical"])
@pytest.mark.parametrize("hours", [1, 7, 30, 300])
def test_data_after_the_moment_of_the_signal_change_nothing(name: str, hours: int) -> None:
    # Candles are cut where they are gathered: the technical agent's newest bar is the newest there is.
    gathered = full_evidence(source="directory")
    moment = gathered.now - timedelta(hours=hours)
    present = {key: replace(item, as_of=moment) for key, item in figures().items()}
    assert gathered.posts is not None
    assert gathered.governance is not None
    gathered = replace(
        gathered,
        supply=present,
        posts=replace(gathered.posts, retrieved_at=moment),
        governance=replace(gathered.governance, retrieved_at=moment),
    )

    assert say(name, replace(gathered, now=moment)) == say(name, truncated(gathered, moment))


@every_agent
def test_bars_are_asked_for_only_by_agents_that_read_candles(name: str) -> None:
    definition = agent(name)

    asks = definition.bars(parameters_of(name)()) > 0

    assert asks == (Dataset.CANDLES in definition.reads)


def test_more_bars_posts_or_days_than_needed_are_no_harm() -> None:
    evidence = replace(full_evidence(), bars=bars(5000), posts=posts(2000))

    for name in AGENT_NAMES:
        assert isinstance(say(name, evidence), Signal)
