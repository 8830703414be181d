from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.agents.components import Absence, Component, between, combine, too_little
from alphapulse.domain.agents.parameters import Parameters, parameter, total_weight


@dataclass(frozen=True, slots=True)
class Weights(Parameters):
    weight_a: float = parameter(0.5, 0, 1, "a")
    weight_b: float = parameter(0.3, 0, 1, "b")
    weight_c: float = parameter(0.2, 0, 1, "c")

    def check(self) -> None:
        total_weight(self)


def part(name: str, score: float, history: float = 1.0) -> Component:
    return Component(name, score, f"{name} says {score}", history=history)


def test_score_is_the_weighted_mean_and_confidence_the_agreement() -> None:
    # 0.5 * 1 - 0.3 * 0.5 + 0.2 * 0 = 0.35 of 1; sizes 0.5 + 0.15.
    combined = combine([part("a", 1.0), part("b", -0.5), part("c", 0.0)], Weights())

    assert combined.score == pytest.approx(0.35)
    assert combined.confidence == pytest.approx(0.35 / 0.65)
    assert combined.coverage == pytest.approx(1.0)
    assert combined.reasons == ("a says 1.0", "b says -0.5", "c says 0.0")


def test_what_is_absent_is_renormalised_and_lowers_confidence() -> None:
    # (0.5 * 1 + 0.2 * 0.5) / 0.7; nothing contradicts.
    combined = combine([part("a", 1.0), Absence("b", "gone"), part("c", 0.5)], Weights())

    assert combined.score == pytest.approx(0.6 / 0.7)
    assert combined.confidence == pytest.approx(0.7)
    assert combined.missing == ("not counted: b (gone)", "70% of the weight has data")


def test_short_history_lowers_confidence_by_weight() -> None:
    combined = combine([part("a", 1.0, history=0.5), part("b", 1.0), part("c", 1.0)], Weights())

    assert combined.confidence == pytest.approx(0.75)


def test_components_of_weight_zero_are_not_mentioned() -> None:
    weights = Weights(weight_b=0.0, weight_c=0.0)

    combined = combine([part("a", 0.5), part("b", -1.0), Absence("c", "gone")], weights)

    assert (combined.score, combined.confidence) == (0.5, 1.0)
    assert combined.reasons == ("a says 0.5",)
    assert combined.missing == ()


def test_parts_absent_for_the_same_reason_are_told_together() -> None:
    combined = combine([Absence("a", "gone"), part("b", 1.0), Absence("c", "gone")], Weights())

    assert combined.missing[0] == "not counted: a, c (gone)"
    assert too_little(combined, 0.5) == (
        "not counted: a, c (gone); 30% of the weight has data, 50% is needed"
    )
    assert too_little(combined, 0.3) is None


def test_nothing_at_all_is_too_little_whatever_is_needed() -> None:
    combined = combine([Absence(name, "gone") for name in "abc"], Weights())

    assert too_little(combined, 0.0) == "not counted: a, b, c (gone); 0% of the weight has data, 0% is needed"


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    st.lists(st.just(0.0) | st.floats(1e-6, 1), min_size=3, max_size=3).filter(any),
)
def test_score_is_within_its_components_and_confidence_in_range(
    scores: list[float], weights: list[float]
) -> None:
    parts = [part(name, score) for name, score in zip("abc", scores, strict=True)]

    combined = combine(parts, Weights(*weights))

    assert min(scores) - 1e-9 <= combined.score <= max(scores) + 1e-9
    assert 0.0 <= combined.confidence <= 1.0


@pytest.mark.parametrize(
    ("value", "score"),
    [(-9.0, 1.0), (0.0, 1.0), (1.0, 0.5), (2.0, 0.0), (4.0, -0.5), (6.0, -1.0), (7.0, -1.0)],
)
def test_score_falls_straight_from_best_over_fair_to_worst(value: float, score: float) -> None:
    assert between(value, best=0.0, fair=2.0, worst=6.0) == pytest.approx(score)
