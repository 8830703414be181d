"""What a consensus is reached with, so that it can be reached again: weights, thresholds, and who spoke."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from alphapulse.domain.consensus import BUY_ABOVE, QUORUM, SELL_BELOW, Consensus, reach_consensus
from alphapulse.domain.signals import Abstention, Direction, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusInputs:
    """Everything but what was said.

    Attributes
    ----------
    weights : mapping of agent to Decimal
        Those in force at that moment, of all agents.
    signals : mapping of agent to UUID
        Who spoke, abstentions included, and the id of the signal.
    silent : mapping of agent to str
        Who did not speak in time, and why.
    quorum, buy_above, sell_below : Decimal
        The thresholds.
    """

    weights: Mapping[str, Decimal]
    signals: Mapping[str, uuid.UUID]
    silent: Mapping[str, str] = field(default_factory=dict)
    quorum: Decimal = QUORUM
    buy_above: Decimal = BUY_ABOVE
    sell_below: Decimal = SELL_BELOW

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read the inputs out of their document."""
        return cls(
            weights={agent: Decimal(weight) for agent, weight in document["weights"].items()},
            signals={agent: uuid.UUID(signal_id) for agent, signal_id in document["signals"].items()},
            silent=document["silent"],
            quorum=Decimal(document["quorum"]),
            buy_above=Decimal(document["buy_above"]),
            sell_below=Decimal(document["sell_below"]),
        )

    @property
    def document(self) -> dict[str, Any]:
        """The inputs as JSON."""
        return {
            "weights": {agent: str(weight) for agent, weight in self.weights.items()},
            "signals": {agent: str(signal_id) for agent, signal_id in self.signals.items()},
            "silent": dict(self.silent),
            "quorum": str(self.quorum),
            "buy_above": str(self.buy_above),
            "sell_below": str(self.sell_below),
        }

    def reach(self, symbol: str, voices: Iterable[Signal | Abstention], *, at: datetime) -> Consensus:
        """Return the consensus of what was said; who said nothing by then counts as abstaining."""
        silences = (
            Abstention(agent, symbol, reason, (), "unknown", at) for agent, reason in self.silent.items()
        )
        return reach_consensus(
            symbol,
            [*voices, *silences],
            weights=self.weights,
            quorum=self.quorum,
            buy_above=self.buy_above,
            sell_below=self.sell_below,
        )


def reasons_of(reason: str | None, silent: Iterable[str]) -> list[str]:
    """Return what a consensus has to explain: that there is no quorum, and who did not speak."""
    missing = ", ".join(sorted(silent))
    return [text for text in (reason, missing and f"did not speak before the deadline: {missing}") if text]


def voice_of(row: Mapping[str, Any]) -> Signal | Abstention:
    """Return what was said out of its row, without the reasons and inputs, which nobody weighs."""
    who = {
        "agent": row["agent"],
        "symbol": row["symbol"],
        "inputs": (),
        "agent_version": row["agent_version"],
        "generated_at": row["created_at"],
    }
    if row["abstained"]:
        return Abstention(reason=row["abstain_reason"], **who)
    return Signal(
        signal=Direction(row["signal"]),
        score=row["score"],
        confidence=row["confidence"],
        reasons=(),
        **who,
    )
