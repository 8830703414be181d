"""An agent speaks with the settings it is given, and abstains where it cannot."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from alphapulse.agents.speaking import speak
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.registry import AGENT_NAMES, agent, parameters_of
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Abstention, AgentVoice, Signal

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
NOTHING = Evidence("BTC-USD", Interval.HOUR, NOW, missing={"candles": "there are none"})


def hold(evidence: Evidence, _parameters: Any) -> Signal:
    voice = AgentVoice("technical", evidence.symbol, "1", evidence.now)
    return voice.signal(0.0, 0.0, reasons=("because",), inputs=())


@pytest.mark.parametrize("name", AGENT_NAMES)
def test_without_evidence_each_agent_abstains_and_tells_all_its_parameters(name: str) -> None:
    spoken = speak(agent(name), NOTHING, {})

    assert isinstance(spoken.voice, Abstention)
    assert spoken.voice.reason
    assert set(spoken.parameters) == set(parameters_of(name).bounds())
    assert spoken.horizon_at is None


def test_signal_can_be_judged_when_its_horizon_has_passed() -> None:
    spoken = speak(replace(agent("technical"), speak=hold), NOTHING, {"horizon_bars": 6})

    assert spoken.horizon_at == NOW + dt.timedelta(hours=6)


def test_settings_that_cannot_be_used_are_told_and_kept_as_they_are() -> None:
    spoken = speak(agent("technical"), NOTHING, {"rsi_period": 1})

    assert isinstance(spoken.voice, Abstention)
    assert spoken.voice.reason == (
        "the agent's settings are unusable: rsi_period must be a whole number from 2 to 100, was 1"
    )
    assert spoken.parameters == {"rsi_period": 1}


def test_parameters_that_were_in_force_speak_as_the_settings_they_came_from() -> None:
    first = speak(agent("value"), NOTHING, {"horizon_days": 10})

    assert speak(agent("value"), NOTHING, first.parameters) == first


def test_agent_that_fails_abstains_and_says_so() -> None:
    def broken(_evidence: Evidence, _parameters: Any) -> Signal:
        raise ZeroDivisionError

    spoken = speak(replace(agent("technical"), speak=broken), NOTHING, {})

    assert isinstance(spoken.voice, Abstention)
    assert spoken.voice.reason == "the agent failed on this evidence (ZeroDivisionError)"
