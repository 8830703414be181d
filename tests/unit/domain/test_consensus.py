from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.consensus import (
    DEFAULT_WEIGHTS,
    NO_QUORUM,
    Consensus,
    InvalidWeights,
    contribution_document,
    reach_consensus,
    validate_weights,
)
from alphapulse.domain.signals import Abstention, AgentVoice, Direction, Signal

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SYMBOL = "BTC-USDT"

votes = st.dictionaries(
    st.sampled_from(sorted(DEFAULT_WEIGHTS)),
    st.one_of(st.none(), st.floats(min_value=-1, max_value=1)),
)


def voice(agent: str, symbol: str = SYMBOL) -> AgentVoice:
    return AgentVoice(agent, symbol, "1.0.0", NOW)


def says(agent: str, score: float, confidence: float = 0.5) -> Signal:
    return voice(agent).signal(score, confidence, reasons=("because",), inputs=())


def silent(agent: str, reason: str = "no data") -> Abstention:
    return voice(agent).abstain(reason)


def reach(*spoken: Signal | Abstention) -> Consensus:
    return reach_consensus(SYMBOL, spoken)


def test_default_weights_are_those_of_the_product_and_sum_to_one() -> None:
    assert {agent: str(weight) for agent, weight in DEFAULT_WEIGHTS.items()} == {
        "technical": "0.30",
        "fundamental": "0.30",
        "sentiment": "0.20",
        "value": "0.10",
        "activist": "0.05",
        "buffett": "0.05",
    }
    assert sum(DEFAULT_WEIGHTS.values()) == 1


def test_all_agents_combine_by_their_weights() -> None:
    consensus = reach(
        *(says(agent, score) for agent, score in zip(DEFAULT_WEIGHTS, (1, 0.5, 0, -1, 1, 1), strict=True))
    )

    assert consensus.score == Decimal("0.45")
    assert consensus.signal is Direction.BUY
    assert consensus.quorum
    assert consensus.reason is None


def test_weights_are_renormalised_over_those_that_spoke() -> None:
    consensus = reach(says("technical", 1.0), says("sentiment", -0.5), silent("fundamental", "no chain data"))

    assert consensus.score == Decimal("0.4")
    assert consensus.weight_present == Decimal("0.5")
    assert [contribution_document(part) for part in consensus.contributions] == [
        {"agent": "fundamental", "abstained": "no chain data"},
        {"agent": "technical", "weight": 0.6, "score": 1.0, "confidence": 0.5},
        {"agent": "sentiment", "weight": 0.4, "score": -0.5, "confidence": 0.5},
    ]


def test_half_of_the_weight_is_a_quorum_and_less_is_not() -> None:
    assert reach(says("fundamental", 1), says("sentiment", 1)).quorum
    almost = reach(says("technical", 1), says("value", 1), says("activist", 1))

    assert not almost.quorum
    assert (almost.signal, almost.reason, almost.score) == (Direction.HOLD, NO_QUORUM, 1)


def test_small_weights_reach_the_quorum_exactly() -> None:
    # 0.30 + 0.10 + 0.05 + 0.05 is less than 0.5 in binary floating point.
    assert reach(*(says(agent, 1) for agent in ("technical", "value", "activist", "buffett"))).quorum


def test_nobody_speaking_is_a_hold_without_quorum() -> None:
    for spoken in ((), (silent("technical"), silent("fundamental"))):
        consensus = reach(*spoken)
        assert (consensus.signal, consensus.reason, consensus.score) == (Direction.HOLD, NO_QUORUM, 0)


@pytest.mark.parametrize(
    ("score", "direction"), [(0.2, "hold"), (0.200001, "buy"), (-0.2, "hold"), (-0.200001, "sell")]
)
def test_direction_needs_a_score_strictly_beyond_the_thresholds(score: float, direction: str) -> None:
    assert reach(says("technical", score), says("fundamental", score)).signal == direction


def test_tenants_own_weights_decide() -> None:
    weights = {"sentiment": Decimal(1), "technical": Decimal(0)}

    consensus = reach_consensus(SYMBOL, [says("sentiment", -1), says("technical", 1)], weights=weights)

    assert (consensus.score, consensus.signal) == (-1, Direction.SELL)


def test_agent_without_a_weight_does_not_count() -> None:
    weights = {"sentiment": Decimal("0.6")}

    consensus = reach_consensus(SYMBOL, [says("buffett", 1)], weights=weights)

    assert (consensus.quorum, consensus.score) == (False, 0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"astrology": "1"}, "unknown agents: astrology"),
        ({"technical": "1.01"}, r"weight of technical must be within \[0, 1\], was 1.01"),
        ({"technical": "-0.1"}, "must be within"),
        ({"technical": "NaN"}, "must be within"),
        ({"technical": "0.2", "value": "0.2"}, r"must sum to at least the quorum of 0.5, sum to 0.4"),
        ({}, "must sum to at least the quorum"),
    ],
)
def test_unusable_weights_are_refused(weights: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidWeights, match=message):
        validate_weights({agent: Decimal(weight) for agent, weight in weights.items()})


def test_agent_that_speaks_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="technical spoke twice"):
        reach(says("technical", 1), silent("technical"))


def test_signal_on_another_symbol_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot use technical on ETH-USDT"):
        reach(voice("technical", "ETH-USDT").abstain("no data"))


@given(votes)
def test_score_is_the_weighted_mean_and_lies_among_the_scores(scores: dict[str, float | None]) -> None:
    consensus = reach(*(silent(a) if score is None else says(a, score) for a, score in scores.items()))

    spoken = {agent: round(score, 6) for agent, score in scores.items() if score is not None}
    weight = sum(float(DEFAULT_WEIGHTS[agent]) for agent in spoken)
    assert float(consensus.weight_present) == pytest.approx(weight)
    if spoken:
        mean = sum(float(DEFAULT_WEIGHTS[agent]) * score for agent, score in spoken.items()) / weight
        assert float(consensus.score) == pytest.approx(mean, abs=1e-6)
        assert min(spoken.values()) - 1e-6 <= float(consensus.score) <= max(spoken.values()) + 1e-6
        assert float(sum(part.weight for part in consensus.contributions)) == pytest.approx(1, abs=1e-5)
    if not consensus.quorum:
        assert consensus.signal is Direction.HOLD


@given(votes)
def test_consensus_does_not_depend_on_who_spoke_first(scores: dict[str, float | None]) -> None:
    spoken = [silent(agent) if score is None else says(agent, score) for agent, score in scores.items()]

    assert reach(*spoken) == reach(*reversed(spoken))


@given(votes)
def test_opposite_scores_give_the_opposite_consensus(scores: dict[str, float | None]) -> None:
    def of(sign: int) -> Consensus:
        return reach(*(silent(a) if score is None else says(a, sign * score) for a, score in scores.items()))

    opposite = {Direction.BUY: Direction.SELL, Direction.SELL: Direction.BUY, Direction.HOLD: Direction.HOLD}
    assert of(-1).score == -of(1).score
    assert of(-1).signal is opposite[of(1).signal]
