import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.agents.activist import AGENT_VERSION, DEFINITION, speak
from alphapulse.domain.agents.activist_parameters import ActivistParameters
from alphapulse.domain.agents.evidence import DailySeries, Evidence, Governance, Proposal
from alphapulse.domain.agents.parameters import InvalidParameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Abstention, Direction, Signal, signal_document

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RECENT = (3, 10, 17, 24, 31, 38)
PAST = tuple(range(50, 360, 8))


def proposal(age_days: float, **other: object) -> Proposal:
    begun = NOW - timedelta(days=age_days)
    facts: dict[str, object] = {
        "id": f"p{age_days:g}",
        "started_at": begun,
        "ended_at": begun + timedelta(days=2),
        "state": "passed",
        "votes_for": 900.0,
        "votes_against": 100.0,
        "votes_abstain": 0.0,
        "quorum": 500.0,
        "voters": 40,
        "spends_treasury": False,
    }
    return Proposal(**(facts | other))  # type: ignore[arg-type]


def history(**recent: object) -> list[Proposal]:
    return [proposal(age, **recent) for age in RECENT] + [proposal(age) for age in PAST]


def treasury(
    first: float, last: float, *, days: int = 90, until: date = date(2026, 5, 31), source: str = "defillama"
) -> DailySeries:
    values = np.linspace(first, last, days)
    dates = tuple(until - timedelta(days=days - 1 - index) for index in range(days))
    return DailySeries("treasury_usd", dates, values, source, NOW)


def judge(
    proposals: Sequence[Proposal],
    parameters: ActivistParameters | None = None,
    *,
    eligible: float | None = 10_000.0,
    worth: DailySeries | None = None,
    source: str = "snapshot",
    retrieved_at: datetime = NOW,
    now: datetime = NOW,
    missing: dict[str, str] | None = None,
) -> Signal | Abstention:
    governance = Governance(tuple(proposals), eligible, worth, source, retrieved_at, missing or {})
    evidence = Evidence("UNI-USDT", Interval.DAY, now, governance=governance)
    return speak(evidence, parameters or ActivistParameters())


def spoken(
    proposals: Sequence[Proposal],
    parameters: ActivistParameters | None = None,
    *,
    eligible: float | None = 10_000.0,
    worth: DailySeries | None = None,
) -> Signal:
    signal = judge(proposals, parameters, eligible=eligible, worth=worth)
    assert isinstance(signal, Signal), signal
    return signal


def refused(proposals: Sequence[Proposal], parameters: ActivistParameters | None = None) -> str:
    abstention = judge(proposals, parameters)
    assert isinstance(abstention, Abstention), abstention
    return abstention.reason


def only(name: str) -> ActivistParameters:
    weights = {
        key: float(key == f"weight_{name}")
        for key in ActivistParameters.bounds()
        if key.startswith("weight_")
    }
    return ActivistParameters.of(weights)


def test_asset_without_governance_abstains_with_the_reason_it_is_missing() -> None:
    reason = "holders of BTC do not vote on proposals"
    evidence = Evidence("BTC-USDT", Interval.DAY, NOW, missing={"governance": reason})

    abstention = speak(evidence, ActivistParameters())

    assert isinstance(abstention, Abstention)
    assert abstention.reason == reason


def test_signal_names_version_time_inputs_and_their_sources() -> None:
    signal = spoken(history(), worth=treasury(1e6, 1e6))

    assert (signal.agent, signal.agent_version, signal.generated_at) == ("activist", AGENT_VERSION, NOW)
    assert [item.name for item in signal.inputs] == [
        "proposals",
        "recent_proposals",
        "decided_proposals",
        "usual_proposals",
        "turnout",
        "past_turnout",
        "pass_rate",
        "contested_share",
        "treasury_usd",
        "treasury_change",
        "spending_share",
    ]
    assert {item.source for item in signal.inputs} == {"snapshot", "defillama"}
    assert [reason.split(":")[0] for reason in signal.reasons] == [
        "activity",
        "turnout",
        "outcomes",
        "treasury",
        "spending",
    ]


def test_engaged_holders_buy_and_a_torn_and_idle_house_sells() -> None:
    engaged = spoken(history(votes_for=3_000.0), worth=treasury(1e6, 1.5e6))
    torn = spoken(
        history(state="defeated", votes_for=200.0, votes_against=220.0, spends_treasury=True),
        worth=treasury(1.5e6, 1e6),
    )

    assert (engaged.signal, torn.signal) == (Direction.BUY, Direction.SELL)


def test_activity_is_counted_in_standard_deviations_of_a_poisson_number() -> None:
    parameters = replace(only("activity"), recent_days=45, history_days=365, activity_full=3.0)
    past = [proposal(age) for age in np.linspace(45.5, 364.5, 64)]
    recent = [proposal(age) for age in np.linspace(1, 44, 15)]

    # 64 in 319.5 days are 9.01 in 45; 15 are 1.99 standard deviations more.
    usual = 64 / 319.5 * 45
    assert spoken(past + recent, parameters).score == pytest.approx((15 - usual) / math.sqrt(usual) / 3)


def test_young_organisation_is_compared_with_the_days_it_has() -> None:
    parameters = only("activity")
    steady = [proposal(age) for age in range(1, 110, 4)]

    assert abs(spoken(steady, parameters).score) < 0.1


def test_turnout_is_judged_in_doublings_of_the_median() -> None:
    parameters = replace(only("turnout"), turnout_full=2.0)

    assert spoken(history(votes_for=1_900.0), parameters).score == pytest.approx(0.5)
    assert spoken(history(votes_for=400.0), parameters).score == pytest.approx(-0.5)


def test_one_huge_vote_does_not_move_the_median_turnout() -> None:
    odd = [replace(item, votes_for=1e9) if item.id == "p3" else item for item in history()]

    assert spoken(odd, only("turnout")).score == 0.0


def test_without_eligible_votes_turnout_is_measured_by_the_quorum() -> None:
    signal = spoken(history(votes_for=1_900.0), only("turnout"), eligible=None)

    assert signal.score == 1.0
    assert "of the quorum" in signal.reasons[0]


@pytest.mark.parametrize("eligible", [None, 0.0, math.nan, -5.0])
def test_turnout_that_cannot_be_measured_is_left_out_by_name(eligible: float | None) -> None:
    proposals = [replace(item, quorum=None) for item in history()]

    signal = spoken(proposals, eligible=eligible)

    assert any(reason.startswith("not counted: turnout (no recent vote") for reason in signal.reasons)
    assert signal.confidence < spoken(history()).confidence


def test_usual_pass_rate_scores_nothing_and_contested_votes_lower_it() -> None:
    parameters = replace(only("outcomes"), usual_pass_rate=0.5)
    states = ["passed", "passed", "passed", "defeated", "defeated", "defeated"]
    proposals = [proposal(age, state=state) for age, state in zip(RECENT, states, strict=True)]
    past = [proposal(age) for age in PAST]
    contested = [replace(item, votes_for=510.0, votes_against=490.0) for item in proposals[:3]]

    assert spoken(proposals + past, parameters).score == 0.0
    assert spoken(contested + proposals[3:] + past, parameters).score == pytest.approx(-0.5)
    assert spoken(history(), parameters).score == 1.0
    assert spoken(history(state="defeated"), parameters).score == -1.0


def test_choice_among_options_counts_for_turnout_and_not_for_outcomes() -> None:
    closed = history(state="closed", votes_for=1_900.0)

    assert spoken(closed, only("turnout")).score == 1.0
    assert refused(closed, only("outcomes")).startswith(
        "not counted: outcomes (no recent vote has ended in for or against)"
    )


def test_treasury_is_judged_by_its_change_over_the_recent_days() -> None:
    parameters = replace(only("treasury"), treasury_full_change=0.5, recent_days=45)
    series = treasury(1e6, 1e6, days=46)
    series.values[-1] = 1.25e6

    assert spoken(history(), parameters, worth=series).score == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        (None, "no source tells what it is worth"),
        (treasury(1e6, 2e6, days=10), "there are no two values 45 days apart"),
        (treasury(1e6, 2e6, until=date(2026, 5, 20)), "its last value is of 2026-05-21"),
        (treasury(math.nan, math.nan), "there are no two values 45 days apart"),
        (treasury(-5.0, -1.0), "there are no two values 45 days apart"),
    ],
)
def test_treasury_without_usable_values_is_left_out_by_name(series: DailySeries | None, reason: str) -> None:
    signal = spoken(history(), worth=series)

    assert any(text.startswith(f"not counted: treasury ({reason})") for text in signal.reasons)


def test_more_proposals_that_spend_lower_the_score() -> None:
    assert spoken(history(spends_treasury=True), only("spending")).score == -1.0
    assert spoken(history(), only("spending")).score == 0.0


def test_platform_that_does_not_tell_about_spending_is_no_reason_to_count_it() -> None:
    proposals = [replace(item, spends_treasury=None) for item in history()]

    signal = spoken(proposals)

    assert any(reason.startswith("not counted: ") and "spending" in reason for reason in signal.reasons)


def test_too_little_data_for_the_weights_abstains() -> None:
    past_only = [proposal(age) for age in PAST]

    assert "20% of the weight has data, 40% is needed" in refused(past_only)


def test_few_and_old_proposals_abstain_with_the_numbers() -> None:
    assert refused([proposal(age) for age in RECENT[:4]]) == (
        "needs 5 governance proposals of the last 365 days, found 4"
    )
    assert refused([]) == "needs 5 governance proposals of the last 365 days, found 0"
    assert refused([proposal(age) for age in range(200, 300, 10)]) == (
        "the newest proposal is 200 days old, at most 180 are tolerated"
    )


def test_old_answer_abstains_and_a_replay_is_never_old() -> None:
    late = NOW + timedelta(days=400)

    abstention = judge(history(), now=late)
    replayed = judge(history(), now=late, source="directory")

    assert isinstance(abstention, Abstention)
    assert abstention.reason.startswith(f"the proposals were retrieved at {NOW.isoformat()}, before ")
    assert isinstance(replayed, Signal)


def test_proposals_and_results_after_the_moment_of_the_signal_change_nothing() -> None:
    later = [proposal(-age, state="defeated") for age in (1, 2, 3)]
    running = proposal(1, id="running", ended_at=NOW + timedelta(days=1))

    for source in ("snapshot", "directory"):
        assert judge(history() + later, source=source) == judge(history(), source=source)
    known = judge([*history(), running])
    assert judge([*history(), replace(running, state="defeated", votes_against=1e6)]) == known


def test_treasury_after_the_moment_of_the_signal_changes_nothing() -> None:
    known, more = treasury(1e6, 2e6), treasury(1e6, 2e6, days=95, until=date(2026, 6, 5))
    more.values[:90] = known.values

    assert judge(history(), worth=more) == judge(history(), worth=known)


def test_cancelled_proposals_do_not_count() -> None:
    cancelled = [proposal(age + 0.5, state="cancelled") for age in RECENT]

    assert judge(history() + cancelled) == judge(history())


def test_same_proposal_given_twice_counts_once() -> None:
    assert judge(history() + history()) == judge(history())


def test_platform_that_did_not_answer_is_named_and_lowers_confidence() -> None:
    whole, partial = judge(history()), judge(history(), missing={"tally": "no key is set for tally"})

    assert isinstance(whole, Signal)
    assert isinstance(partial, Signal)
    assert partial.reasons[-1] == "nothing from tally: no key is set for tally"
    assert partial.confidence == pytest.approx(0.8 * whole.confidence, abs=1e-6)


def test_history_not_longer_than_the_recent_days_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="recent_days must be less than history_days"):
        ActivistParameters(recent_days=100, history_days=100)


def test_weights_of_zero_are_refused() -> None:
    with pytest.raises(InvalidParameters, match="at least one weight must be above 0"):
        ActivistParameters(
            weight_activity=0, weight_turnout=0, weight_outcomes=0, weight_treasury=0, weight_spending=0
        )


def test_definition_reads_governance_only_and_looks_two_weeks_ahead() -> None:
    assert {item.value for item in DEFINITION.reads} == {"governance"}
    assert DEFINITION.bars(ActivistParameters()) == 0
    assert DEFINITION.horizon(ActivistParameters(), Interval.HOUR) == timedelta(days=14)


MOMENTS = st.floats(-500, 500).map(lambda days: NOW + timedelta(days=days)) | st.sampled_from(
    [NOW, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
FIGURES = st.floats(0, 1e9) | st.floats()
ANY_PROPOSAL = st.builds(
    Proposal,
    id=st.integers(0, 25).map(str),
    started_at=MOMENTS,
    ended_at=MOMENTS,
    state=st.sampled_from(["pending", "active", "passed", "defeated", "cancelled", "closed"]),
    votes_for=FIGURES,
    votes_against=FIGURES,
    votes_abstain=FIGURES,
    quorum=st.none() | FIGURES,
    voters=st.integers(0, 10**9),
    spends_treasury=st.none() | st.booleans(),
)


@st.composite
def any_treasury(draw: st.DrawFn) -> DailySeries:
    days = draw(st.lists(st.integers(-120, 20), unique=True, max_size=30).map(sorted))
    values = draw(st.lists(FIGURES, min_size=len(days), max_size=len(days)))
    dates = tuple(NOW.date() + timedelta(days=day) for day in days)
    return DailySeries("treasury_usd", dates, np.array(values, dtype=np.float64), "defillama", NOW)


@st.composite
def any_parameters(draw: st.DrawFn) -> ActivistParameters:
    settings: dict[str, object] = {}
    for name, bound in ActivistParameters.bounds().items():
        if draw(st.booleans()):
            number = st.integers(int(bound.least), int(bound.most))
            settings[name] = draw(number if bound.whole else st.floats(bound.least, bound.most))
    try:
        return ActivistParameters.of(settings)
    except InvalidParameters:
        return ActivistParameters()


@given(
    proposals=st.lists(ANY_PROPOSAL, max_size=40),
    parameters=any_parameters(),
    eligible=st.none() | FIGURES,
    worth=st.none() | any_treasury(),
    source=st.sampled_from(["snapshot", "directory", "simulated"]),
)
def test_whatever_the_proposals_it_speaks_within_range_or_abstains(
    proposals: list[Proposal],
    parameters: ActivistParameters,
    eligible: float | None,
    worth: DailySeries | None,
    source: str,
) -> None:
    said = judge(proposals, parameters, eligible=eligible, worth=worth, source=source)

    assert signal_document(said)["reasons"]
    assert all(not isinstance(item.value, float) or math.isfinite(item.value) for item in said.inputs)
    if isinstance(said, Signal):
        assert -1.0 <= said.score <= 1.0
        assert 0.0 <= said.confidence <= 1.0


@given(proposals=st.lists(ANY_PROPOSAL, max_size=30), seed=st.integers(0, 2**32))
def test_order_of_the_proposals_changes_nothing(proposals: list[Proposal], seed: int) -> None:
    loose = ActivistParameters(min_proposals=1, min_past_proposals=1, min_coverage=0.05)
    shuffled = random.Random(seed).sample(proposals, len(proposals))

    assert judge(shuffled, loose) == judge(proposals, loose)


@given(factor=st.floats(1e-6, 1e6))
def test_unit_in_which_voting_power_is_counted_changes_nothing(factor: float) -> None:
    scaled = [
        replace(
            item,
            votes_for=item.votes_for * factor,
            votes_against=item.votes_against * factor,
            quorum=(item.quorum or 0) * factor,
        )
        for item in history(votes_for=1_200.0)
    ]

    whole, again = judge(history(votes_for=1_200.0)), judge(scaled, eligible=10_000.0 * factor)

    assert isinstance(whole, Signal)
    assert isinstance(again, Signal)
    assert again.score == pytest.approx(whole.score, abs=2e-6)
