import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.signals import (
    AgentVoice,
    Direction,
    InvalidSignal,
    SignalInput,
    signal_document,
    signal_from_score,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
VOICE = AgentVoice("value", "BTC-USDT", "1.0.0", NOW)
INPUT = SignalInput("mvrv", 1.8, NOW, "fixture")


@pytest.mark.parametrize(
    ("score", "direction"),
    [(-1, "sell"), (-0.21, "sell"), (-0.2, "hold"), (0, "hold"), (0.2, "hold"), (0.21, "buy"), (1, "buy")],
)
def test_score_turns_into_a_direction_strictly_beyond_the_thresholds(score: float, direction: str) -> None:
    assert signal_from_score(score) == direction


def test_thresholds_can_be_set() -> None:
    assert signal_from_score(0.3, buy_above=0.5) is Direction.HOLD
    assert signal_from_score(-0.05, sell_below=0.0) is Direction.SELL


@given(st.floats(min_value=-1, max_value=1), st.floats(min_value=0, max_value=1))
def test_signal_has_the_direction_of_the_score_it_shows(score: float, confidence: float) -> None:
    signal = VOICE.signal(score, confidence, reasons=("r",), inputs=())

    assert signal.signal is signal_from_score(signal.score)
    assert signal.score == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize(
    ("score", "confidence"),
    [(1.01, 0), (-1.01, 0), (float("nan"), 0), (0, 1.01), (0, -0.01), (0, float("inf"))],
)
def test_score_or_confidence_out_of_range_is_refused(score: float, confidence: float) -> None:
    with pytest.raises(InvalidSignal, match="must be within"):
        VOICE.signal(score, confidence, reasons=("r",), inputs=())


def test_document_of_a_signal_is_plain_json() -> None:
    document = signal_document(VOICE.signal(0.5, 0.25, reasons=("cheap",), inputs=(INPUT,)))

    assert json.loads(json.dumps(document)) == {
        "agent": "value",
        "symbol": "BTC-USDT",
        "signal": "buy",
        "score": 0.5,
        "confidence": 0.25,
        "reasons": ["cheap"],
        "inputs": [{"name": "mvrv", "value": 1.8, "as_of": "2026-06-01T12:00:00Z", "source": "fixture"}],
        "abstained": False,
        "agent_version": "1.0.0",
    }


def test_document_of_an_abstention_has_its_reason_and_no_score() -> None:
    document = signal_document(VOICE.abstain("no on-chain data"))

    assert json.loads(json.dumps(document)) == {
        "agent": "value",
        "symbol": "BTC-USDT",
        "signal": "hold",
        "score": None,
        "confidence": None,
        "reasons": ["no on-chain data"],
        "inputs": [],
        "abstained": True,
        "agent_version": "1.0.0",
    }
