"""The consensus of the agents: a weighted score over those that spoke, if enough of them did."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from alphapulse.domain.money import ZERO, exact, quantise
from alphapulse.domain.signals import Abstention, Direction, Signal

#: Share of each agent in the consensus; a tenant may set its own.
DEFAULT_WEIGHTS: Final[Mapping[str, Decimal]] = {
    "technical": Decimal("0.30"),
    "fundamental": Decimal("0.30"),
    "sentiment": Decimal("0.20"),
    "value": Decimal("0.10"),
    "activist": Decimal("0.05"),
    "buffett": Decimal("0.05"),
}
#: Weight, before renormalising, that must have spoken.
QUORUM: Final = Decimal("0.5")
BUY_ABOVE: Final = Decimal("0.2")
SELL_BELOW: Final = Decimal("-0.2")
NO_QUORUM: Final = "no quorum"

_PLACES: Final = 6


class InvalidWeights(ValueError):
    """A tenant's weights are unusable."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One agent's part.

    Attributes
    ----------
    agent : str
        Who.
    weight : Decimal
        Renormalised over the agents that spoke, so that these sum to 1; zero for one that abstained.
    score, confidence : float or None
        None for an agent that abstained.
    abstained : str or None
        Why it abstained.
    """

    agent: str
    weight: Decimal
    score: float | None = None
    confidence: float | None = None
    abstained: str | None = None


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the agents say together.

    Attributes
    ----------
    symbol : str
        About what.
    signal : Direction
        ``hold`` without quorum.
    score : Decimal
        Weighted score of those that spoke, in [-1, 1], to 6 places; zero when none did.
    quorum : bool
        Whether enough weight spoke.
    weight_present : Decimal
        The weight that spoke, before renormalising.
    reason : str or None
        ``no quorum``, or none.
    contributions : tuple of Contribution
        In order of falling weight as configured, then by name.
    """

    symbol: str
    signal: Direction
    score: Decimal
    quorum: bool
    weight_present: Decimal
    reason: str | None
    contributions: tuple[Contribution, ...]


def validate_weights(weights: Mapping[str, Decimal], *, quorum: Decimal = QUORUM) -> None:
    """Check the weights a tenant asks for.

    Raises
    ------
    InvalidWeights
        When an agent is unknown, a weight is outside [0, 1], or all together cannot reach the quorum.
    """
    unknown = sorted(weights.keys() - DEFAULT_WEIGHTS.keys())
    if unknown:
        raise InvalidWeights(f"unknown agents: {', '.join(unknown)}")
    for agent, weight in weights.items():
        if not weight.is_finite() or not 0 <= weight <= 1:
            raise InvalidWeights(f"weight of {agent} must be within [0, 1], was {weight}")
    total = sum(weights.values(), ZERO)
    if total < quorum:
        raise InvalidWeights(f"weights must sum to at least the quorum of {quorum}, sum to {total}")


def reach_consensus(
    symbol: str,
    spoken: Iterable[Signal | Abstention],
    *,
    weights: Mapping[str, Decimal] = DEFAULT_WEIGHTS,
    quorum: Decimal = QUORUM,
    buy_above: Decimal = BUY_ABOVE,
    sell_below: Decimal = SELL_BELOW,
) -> Consensus:
    """Combine what agents said about a symbol.

    Parameters
    ----------
    symbol : str
        About what; everything spoken must be about it.
    spoken : iterable of Signal or Abstention
        At most one per agent. An agent that is missing counts as one that did not speak.
    weights : mapping of agent to Decimal
        An agent that is not in it has weight zero.
    quorum : Decimal
        Weight, before renormalising, that must have spoken.
    buy_above, sell_below : Decimal
        Beyond these the score turns into a direction.

    Returns
    -------
    Consensus
        ``buy`` above one threshold, ``sell`` below the other, otherwise or without quorum ``hold``.

    Raises
    ------
    InvalidWeights
        When the weights are unusable.
    ValueError
        When an agent speaks twice or about another symbol.
    """
    validate_weights(weights, quorum=quorum)
    by_agent = _by_agent(symbol, spoken)
    signals = [voice for voice in by_agent.values() if isinstance(voice, Signal)]
    present = sum((weights.get(voice.agent, ZERO) for voice in signals), ZERO)
    contributions = tuple(
        _contribution(by_agent[agent], weights.get(agent, ZERO), present)
        for agent in sorted(by_agent, key=lambda agent: (-weights.get(agent, ZERO), agent))
    )
    score = _weighted_score(signals, weights, present)
    has_quorum = present >= quorum
    direction = (
        Direction.BUY if score > buy_above else Direction.SELL if score < sell_below else Direction.HOLD
    )
    return Consensus(
        symbol=symbol,
        signal=direction if has_quorum else Direction.HOLD,
        score=quantise(score, places=_PLACES),
        quorum=has_quorum,
        weight_present=present,
        reason=None if has_quorum else NO_QUORUM,
        contributions=contributions,
    )


def contribution_document(contribution: Contribution) -> dict[str, object]:
    """Return the JSON shape of a contribution: with its score, or with the reason for abstaining."""
    if contribution.abstained is not None:
        return {"agent": contribution.agent, "abstained": contribution.abstained}
    return {
        "agent": contribution.agent,
        "weight": float(contribution.weight),
        "score": contribution.score,
        "confidence": contribution.confidence,
    }


def _by_agent(symbol: str, spoken: Iterable[Signal | Abstention]) -> dict[str, Signal | Abstention]:
    by_agent: dict[str, Signal | Abstention] = {}
    for voice in spoken:
        if voice.symbol != symbol:
            raise ValueError(f"a consensus on {symbol} cannot use {voice.agent} on {voice.symbol}")
        if voice.agent in by_agent:
            raise ValueError(f"agent {voice.agent} spoke twice on {symbol}")
        by_agent[voice.agent] = voice
    return by_agent


def _contribution(voice: Signal | Abstention, weight: Decimal, present: Decimal) -> Contribution:
    if isinstance(voice, Abstention):
        return Contribution(voice.agent, ZERO, abstained=voice.reason)
    share = quantise(weight / present, places=_PLACES) if present else ZERO
    return Contribution(voice.agent, share, score=voice.score, confidence=voice.confidence)


def _weighted_score(signals: list[Signal], weights: Mapping[str, Decimal], present: Decimal) -> Decimal:
    if not present:
        return ZERO
    with exact():
        total = sum((weights.get(voice.agent, ZERO) * Decimal(str(voice.score)) for voice in signals), ZERO)
        return total / present
