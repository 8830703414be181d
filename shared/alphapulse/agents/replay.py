"""Make signals and consensus again, from what was kept, by the code that made them.

Nothing is read or written here: rows and documents come in, and what was stored comes out beside what was
recomputed. A signal of another version of its agent is not compared: the code that made it is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from alphapulse.agents.snapshots import EvidenceGone, EvidenceTampered, KeptEvidence
from alphapulse.agents.speaking import Spoken, speak
from alphapulse.agents.weighing import ConsensusInputs, reasons_of, voice_of
from alphapulse.domain.agents.registry import agent
from alphapulse.domain.consensus import Consensus, contribution_document
from alphapulse.domain.signals import Abstention, Direction, Signal, signal_document


class Outcome(StrEnum):
    """What making something again has shown."""

    IDENTICAL = "identical"
    DIFFERENT = "different"
    VERSION_CHANGED = "version_changed"
    EVIDENCE_GONE = "evidence_gone"
    EVIDENCE_TAMPERED = "evidence_tampered"
    NOT_KEPT = "not_kept"

    @property
    def identical(self) -> bool | None:
        """Whether it is the same; None when it could not be told."""
        if self in {Outcome.DIFFERENT, Outcome.EVIDENCE_TAMPERED}:
            return False
        return True if self is Outcome.IDENTICAL else None


class _NothingToCompare(Exception):
    """A signal cannot be made again."""

    def __init__(self, outcome: Outcome, problem: str) -> None:
        super().__init__(problem)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Said:
    """What a signal or an abstention says."""

    signal: str
    score: float | None
    confidence: float | None
    reasons: tuple[str, ...]
    abstained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReplay:
    """A signal beside the one that was made again.

    Attributes
    ----------
    stored : Said
        As it is in the database.
    recomputed : Said or None
        None when there was nothing to make it from.
    agent_version, deployed_version : str
        Of the stored signal, and of the code that is here.
    problem : str or None
        Why it could not be compared, or what is wrong with the evidence.
    """

    agent: str
    symbol: str
    outcome: Outcome
    stored: Said
    recomputed: Said | None
    agent_version: str
    deployed_version: str
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusReplay:
    """A consensus beside the one that was reached again.

    Attributes
    ----------
    from_stored : tuple of str
        Agents whose stored signals it was reached from, because theirs could not be made again.
    """

    symbol: str
    outcome: Outcome
    stored: Mapping[str, Any]
    recomputed: Mapping[str, Any] | None
    from_stored: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RunReplay:
    """A run beside the one that was made again."""

    signals: tuple[SignalReplay, ...]
    consensus: tuple[ConsensusReplay, ...]

    @property
    def identical(self) -> bool | None:
        """Whether everything is the same; None when something, or everything, could not be compared."""
        outcomes = [one.outcome for one in self.signals] + [one.outcome for one in self.consensus]
        found = {outcome.identical for outcome in outcomes}
        if False in found:
            return False
        return True if found == {True} else None


def replay_run(
    signals: Sequence[Mapping[str, Any]],
    consensus: Sequence[Mapping[str, Any]],
    documents: Mapping[bytes, bytes],
) -> RunReplay:
    """Make all signals and consensus of a run again.

    Parameters
    ----------
    signals, consensus : sequence of mapping
        The stored rows.
    documents : mapping of bytes to bytes
        Of all evidence there is, by digest.
    """
    kept = KeptEvidence(documents)
    made = [_made_again(row, kept) for row in signals]
    return RunReplay(
        tuple(replay for replay, _ in made),
        tuple(_reached_again(row, signals, [voice for _, voice in made]) for row in consensus),
    )


def _made_again(
    row: Mapping[str, Any], kept: KeptEvidence
) -> tuple[SignalReplay, Signal | Abstention | None]:
    """Return the comparison, and the voice where it may stand for the stored one."""
    definition = agent(row["agent"])
    voice, problem = None, None
    try:
        spoken = _spoken(row, kept)
        voice = spoken.voice
        outcome = _compared(row, spoken)
    except _NothingToCompare as error:
        outcome, problem = error.outcome, str(error)
    if voice is not None and row["agent_version"] != definition.version:
        outcome = Outcome.VERSION_CHANGED
        problem = f"the agent is {definition.version} by now, the signal is of {row['agent_version']}"
    replay = SignalReplay(
        agent=row["agent"],
        symbol=row["symbol"],
        outcome=outcome,
        stored=_stored(row),
        recomputed=None if voice is None else _said(voice),
        agent_version=row["agent_version"],
        deployed_version=definition.version,
        problem=problem,
    )
    return replay, None if outcome is Outcome.VERSION_CHANGED else voice


def _spoken(row: Mapping[str, Any], kept: KeptEvidence) -> Spoken:
    if row["evidence_digest"] is None:
        raise _NothingToCompare(Outcome.NOT_KEPT, "it was made before evidence was kept")
    try:
        evidence = kept.evidence(row["evidence_digest"], now=row["created_at"])
    except EvidenceGone as error:
        raise _NothingToCompare(Outcome.EVIDENCE_GONE, str(error)) from error
    except EvidenceTampered as error:
        raise _NothingToCompare(Outcome.EVIDENCE_TAMPERED, str(error)) from error
    if (evidence.symbol, evidence.interval) != (row["symbol"], row["interval"]):
        about = f"{evidence.symbol} in {evidence.interval}"
        raise _NothingToCompare(Outcome.EVIDENCE_TAMPERED, f"the evidence it names is about {about}")
    return speak(agent(row["agent"]), evidence, row["parameters"])


def _compared(row: Mapping[str, Any], spoken: Spoken) -> Outcome:
    # The inputs, and when the signal is scored, are not shown but compared as well.
    unseen = (row["inputs"], row["horizon_at"])
    same = _stored(row) == _said(spoken.voice)
    same = same and unseen == (signal_document(spoken.voice)["inputs"], spoken.horizon_at)
    return Outcome.IDENTICAL if same else Outcome.DIFFERENT


def _stored(row: Mapping[str, Any]) -> Said:
    if row["abstained"]:
        return Said(Direction.HOLD.value, None, None, (row["abstain_reason"],), abstained=True)
    return Said(row["signal"], row["score"], row["confidence"], tuple(row["reasons"]), abstained=False)


def _said(voice: Signal | Abstention) -> Said:
    if isinstance(voice, Abstention):
        return Said(Direction.HOLD.value, None, None, (voice.reason,), abstained=True)
    return Said(voice.signal.value, voice.score, voice.confidence, voice.reasons, abstained=False)


def _reached_again(
    row: Mapping[str, Any],
    signals: Sequence[Mapping[str, Any]],
    made: Sequence[Signal | Abstention | None],
) -> ConsensusReplay:
    stored = _stored_consensus(row)
    if row["inputs"] is None:
        problem = "it was reached before its inputs were kept"
        return ConsensusReplay(
            symbol=row["symbol"], outcome=Outcome.NOT_KEPT, stored=stored, recomputed=None, problem=problem
        )
    inputs = ConsensusInputs.of(row["inputs"])
    weighed = [(one, voice) for one, voice in zip(signals, made, strict=True) if _is_of(one, row, inputs)]
    voices = [voice or voice_of(one) for one, voice in weighed]
    recomputed = _document(inputs.reach(row["symbol"], voices, at=row["created_at"]), inputs)
    gone = sorted(inputs.signals.keys() - {one["agent"] for one, _ in weighed})
    return ConsensusReplay(
        symbol=row["symbol"],
        outcome=Outcome.IDENTICAL if recomputed == stored else Outcome.DIFFERENT,
        stored=stored,
        recomputed=recomputed,
        from_stored=tuple(one["agent"] for one, voice in weighed if voice is None),
        problem=f"signals it was reached from are not there: {', '.join(gone)}" if gone else None,
    )


def _is_of(signal: Mapping[str, Any], consensus: Mapping[str, Any], inputs: ConsensusInputs) -> bool:
    same_symbol: bool = signal["symbol"] == consensus["symbol"]
    return same_symbol and inputs.signals.get(signal["agent"]) == signal["id"]


def _stored_consensus(row: Mapping[str, Any]) -> dict[str, Any]:
    silent = (row["inputs"] or {}).get("silent", ())
    return {
        "signal": row["signal"],
        "score": float(row["score"]),
        "quorum": row["quorum"],
        "contributions": row["contributions"],
        "reasons": reasons_of(row["reason"], silent),
    }


def _document(reached: Consensus, inputs: ConsensusInputs) -> dict[str, Any]:
    return {
        "signal": reached.signal.value,
        "score": float(reached.score),
        "quorum": reached.quorum,
        "contributions": [contribution_document(part) for part in reached.contributions],
        "reasons": reasons_of(reached.reason, inputs.silent),
    }
