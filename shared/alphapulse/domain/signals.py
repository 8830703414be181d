"""What an agent says about a symbol: a signal with its reasons, or an abstention with its reason."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

#: A score beyond these turns into a direction; between them the signal is to hold.
BUY_ABOVE: Final = 0.2
SELL_BELOW: Final = -0.2

_DECIMALS: Final = 6


class InvalidSignal(ValueError):
    """A score or confidence is outside its range."""


class Direction(StrEnum):
    """What a signal recommends."""

    BUY = "buy"
    SELL = "sell"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class SignalInput:
    """A figure a signal was made from.

    Attributes
    ----------
    name : str
        What it is, in snake_case (``rsi``).
    value : float, int, str or None
        The figure.
    as_of : datetime
        When it was true; aware, UTC.
    source : str
        Where it comes from (``simulated``, ``directory``, the name of a provider).
    """

    name: str
    value: float | str | None
    as_of: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Signal:
    """An agent's recommendation.

    Attributes
    ----------
    agent, symbol, agent_version : str
        Who speaks about what.
    signal : Direction
        What follows from the score.
    score : float
        In [-1, 1]; positive speaks for buying.
    confidence : float
        In [0, 1].
    reasons : tuple of str
        For people, with the numbers in them.
    inputs : tuple of SignalInput
        What it was made from.
    generated_at : datetime
        Aware, UTC.
    """

    agent: str
    symbol: str
    signal: Direction
    score: float
    confidence: float
    reasons: tuple[str, ...]
    inputs: tuple[SignalInput, ...]
    agent_version: str
    generated_at: datetime


@dataclass(frozen=True, slots=True)
class Abstention:
    """An agent's refusal to speak, because it lacks data it needs."""

    agent: str
    symbol: str
    reason: str
    inputs: tuple[SignalInput, ...]
    agent_version: str
    generated_at: datetime


@dataclass(frozen=True, slots=True)
class AgentVoice:
    """Who speaks about which symbol, and when: what every signal and abstention carries."""

    agent: str
    symbol: str
    agent_version: str
    now: datetime

    def abstain(self, reason: str, inputs: tuple[SignalInput, ...] = ()) -> Abstention:
        """Return an abstention with its reason."""
        return Abstention(self.agent, self.symbol, reason, inputs, self.agent_version, self.now)

    def signal(
        self, score: float, confidence: float, *, reasons: tuple[str, ...], inputs: tuple[SignalInput, ...]
    ) -> Signal:
        """Return a signal whose direction follows from its score.

        Raises
        ------
        InvalidSignal
            When score or confidence is outside its range or not finite.
        """
        rounded = _within(score, -1.0, "score")
        return Signal(
            agent=self.agent,
            symbol=self.symbol,
            signal=signal_from_score(rounded),
            score=rounded,
            confidence=_within(confidence, 0.0, "confidence"),
            reasons=reasons,
            inputs=inputs,
            agent_version=self.agent_version,
            generated_at=self.now,
        )


def signal_from_score(
    score: float, *, buy_above: float = BUY_ABOVE, sell_below: float = SELL_BELOW
) -> Direction:
    """Return the direction of a score: buy strictly above one threshold, sell strictly below the other."""
    if score > buy_above:
        return Direction.BUY
    return Direction.SELL if score < sell_below else Direction.HOLD


def signal_document(spoken: Signal | Abstention) -> Mapping[str, object]:
    """Return the JSON shape of a signal or abstention, without the ids the store gives it.

    An abstention has no score or confidence, signal ``hold``, ``abstained`` true and its reason as the only
    entry of ``reasons``.
    """
    document: dict[str, object] = {
        "agent": spoken.agent,
        "symbol": spoken.symbol,
        "signal": str(Direction.HOLD),
        "score": None,
        "confidence": None,
        "inputs": [_input_document(item) for item in spoken.inputs],
        "agent_version": spoken.agent_version,
    }
    if isinstance(spoken, Abstention):
        return document | {"reasons": [spoken.reason], "abstained": True}
    return document | {
        "signal": str(spoken.signal),
        "score": spoken.score,
        "confidence": spoken.confidence,
        "reasons": list(spoken.reasons),
        "abstained": False,
    }


def _input_document(item: SignalInput) -> dict[str, object]:
    as_of = item.as_of.isoformat().replace("+00:00", "Z")
    return {"name": item.name, "value": item.value, "as_of": as_of, "source": item.source}


def _within(value: float, least: float, name: str) -> float:
    if not math.isfinite(value) or not least <= value <= 1.0:
        raise InvalidSignal(f"{name} must be within [{least:g}, 1], was {value}")
    # Adding 0 turns the -0.0 that rounding leaves into the 0.0 that a store gives back.
    return round(value, _DECIMALS) + 0.0
