"""Expected scores are computed by hand; the arithmetic stands beside them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alphapulse.domain.agents.parameters import InvalidParameters, Parameters
from alphapulse.domain.agents.value import AGENT_VERSION, DEFINITION
from alphapulse.domain.agents.value_parameters import ValueParameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Abstention, Direction
from tests.unit.domain.agents.builders import (
    NOW,
    figures,
    full_evidence,
    judged,
    newest,
    on_chain,
    refused,
    series,
    spoken,
    value_of,
    with_chain,
)
from tests.unit.domain.agents.builders import only as only_of

WAVE = 1.0 + 0.5 * np.sin(np.arange(500))


def only(*components: str, **settings: float) -> Parameters:
    return only_of("value", *components, **settings)


@pytest.mark.parametrize(
    ("ratio", "score"),
    # Straight from 1.0 (+1) over 1.8 (0) to 3.7 (-1): (1.8 - 1.4) / 0.8 and (1.8 - 2.75) / 1.9.
    [(0.7, 1.0), (1.0, 1.0), (1.4, 0.5), (1.8, 0.0), (2.75, -0.5), (3.7, -1.0), (9.0, -1.0)],
)
def test_mvrv_below_fair_buys_and_above_sells(ratio: float, score: float) -> None:
    market_cap = newest(series("market_cap_usd", 100.0 * WAVE), 100.0 * ratio)
    realised = newest(series("realised_cap_usd", 90.0 * WAVE[::-1]), 100.0)

    computed = spoken("value", with_chain(market_cap, realised), only("mvrv"))
    given = spoken("value", with_chain(newest(series("mvrv", WAVE), ratio)), only("mvrv"))

    assert computed.score == pytest.approx(score, abs=1e-6)
    assert given.score == pytest.approx(score, abs=1e-6)
    assert value_of(computed, "mvrv") == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("realised", "score"),
    # Market value was 90 and 110 in turns: standard deviation 10. Now it is 120.
    # (120 - 120) / 10 = 0 is cheap; 0.75 is half way to fair 1.5; (1.5 - 3.75) / (6 - 1.5) = -0.5.
    [(130.0, 1.0), (120.0, 1.0), (112.5, 0.5), (105.0, 0.0), (82.5, -0.5), (60.0, -1.0)],
)
def test_mvrv_z_is_counted_in_deviations_of_the_market_value(realised: float, score: float) -> None:
    market_cap = series("market_cap_usd", [90.0, 110.0] * 250 + [120.0])
    paid = newest(series("realised_cap_usd", [100.0] * 500 + [101.0]), realised)

    signal = spoken("value", with_chain(market_cap, paid), only("mvrv_z"))

    assert signal.score == pytest.approx(score, abs=1e-6)
    assert value_of(signal, "mvrv_z") == pytest.approx((120.0 - realised) / 10.0)


def test_realised_value_follows_from_a_ratio_where_a_source_gives_only_that() -> None:
    # 120 / 1.0666667 = 112.5, as above.
    market_cap = series("market_cap_usd", [90.0, 110.0] * 250 + [120.0])
    ratio = newest(series("mvrv", [1.1, 1.2] * 250 + [1.0]), 120.0 / 112.5)

    assert spoken("value", with_chain(market_cap, ratio), only("mvrv_z")).score == pytest.approx(0.5)


@pytest.mark.parametrize("figure", [0.0, np.nan])
def test_a_ratio_that_is_nothing_on_the_newest_day_of_the_market_value_gives_no_z_score(
    figure: float,
) -> None:
    ratio = series("mvrv", [1.1, 1.2] * 250 + [figure, 1.1])
    market_cap = series("market_cap_usd", [90.0, 110.0] * 250 + [120.0], last=ratio.days[-2])

    assert "not both above 0" in refused("value", with_chain(market_cap, ratio), only("mvrv_z"))


def test_a_market_value_of_zero_is_not_taken_for_cheap() -> None:
    market_cap = newest(series("market_cap_usd", [90.0, 110.0] * 250 + [120.0]), 0.0)
    ratio = series("mvrv", [1.1, 1.2] * 250 + [1.1])

    assert "not both above 0" in refused("value", with_chain(market_cap, ratio), only("mvrv_z"))


@pytest.mark.parametrize(
    ("market_cap", "score"),
    # 400 earlier ratios 1 to 400: 300.5 is above 300 of them, p = 0.75, 1 - 2 p = -0.5.
    [(0.5, 1.0), (100.5, 0.5), (200.5, 0.0), (300.5, -0.5), (400.5, -1.0), (300.0, 1 - 2 * 299.5 / 400)],
)
def test_nvt_is_judged_by_its_rank_in_its_own_past(market_cap: float, score: float) -> None:
    transfers = np.exp(np.sin(np.arange(401)))
    ratios = np.array([*np.random.default_rng(5).permutation(np.arange(1.0, 401.0)), market_cap])
    evidence = with_chain(
        series("market_cap_usd", transfers * ratios), series("transfer_volume_usd", transfers)
    )

    signal = spoken("value", evidence, only("nvt", nvt_smoothing_days=1))

    # A tie may be broken by the rounding of a logarithm, by half a rank.
    assert signal.score == pytest.approx(score, abs=1 / 400 + 1e-6 if market_cap == 300.0 else 1e-6)


@pytest.mark.parametrize(
    ("circulating", "score"),
    # 12.5 % to be issued: (25 - 12.5) / 25; 50 %: (25 - 50) / (75 - 25).
    [(100.0, 1.0), (87.5, 0.5), (75.0, 0.0), (50.0, -0.5), (10.0, -1.0)],
)
def test_supply_still_to_be_issued_speaks_against_buying(circulating: float, score: float) -> None:
    supply = figures(circulating_supply=circulating, max_supply=100.0)

    assert spoken("value", with_chain(supply=supply), only("dilution")).score == pytest.approx(score)


@pytest.mark.parametrize(
    ("group", "share", "score"),
    # Ten: +1 at 0, 0 at 20 %, -1 at 50 %. Hundred: 0 at 40 %, -1 at 80 %.
    [
        ("top_10", 0.0, 1.0),
        ("top_10", 0.1, 0.5),
        ("top_10", 0.35, -0.5),
        ("top_10", 1.0, -1.0),
        ("top_100", 0.2, 0.5),
        ("top_100", 0.6, -0.5),
    ],
)
def test_few_holders_of_much_speak_against_buying(group: str, share: float, score: float) -> None:
    supply = figures(**{f"{group}_holder_share": share})

    assert spoken("value", with_chain(supply=supply), only(group)).score == pytest.approx(score)


def test_source_without_holders_is_named_in_the_reasons() -> None:
    everything = full_evidence()
    without = {name: item for name, item in everything.supply.items() if "holder" not in name}

    part = spoken("value", replace(everything, supply=without))

    assert part.reasons[-3:] == (
        "not counted: top 10 (no source gives top_10_holder_share)",
        "not counted: top 100 (no source gives top_100_holder_share)",
        "85% of the weight has data",
    )


def test_missing_holders_lower_confidence_by_their_weight() -> None:
    supply = figures(circulating_supply=87.5, max_supply=100.0, top_10_holder_share=None)
    parameters = only("dilution", "top_10", weight_dilution=0.6, weight_top_10=0.2)

    # 0.6 / (0.6 + 0.2) of the weight has data, and nothing contradicts.
    assert spoken("value", with_chain(supply=supply), parameters).confidence == pytest.approx(0.75)


def test_asset_without_maximum_is_judged_without_dilution() -> None:
    evidence = replace(full_evidence(), supply=figures(max_supply=None))

    assert "not counted: dilution (no source gives max_supply)" in spoken("value", evidence).reasons


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"circulating_supply": 22e6}, "circulating_supply 2.2e+07 does not fit max_supply 2.1e+07"),
        ({"circulating_supply": 0.0}, "circulating_supply 0 does not fit max_supply 2.1e+07"),
        ({"max_supply": float("nan")}, "max_supply is no number"),
        ({"max_supply": "many"}, "max_supply is no number"),
        ({"top_10_holder_share": 1.7}, "top_10_holder_share must be a share from 0 to 1, was 1.7"),
        ({"top_100_holder_share": -0.1}, "top_100_holder_share must be a share from 0 to 1, was -0.1"),
    ],
)
def test_figure_that_cannot_be_is_left_out_by_name(changed: dict[str, float | str], reason: str) -> None:
    signal = spoken("value", replace(full_evidence(), supply=figures(**changed)))

    assert any(reason in item for item in signal.reasons)


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (timedelta(hours=24, seconds=1), "more than 24 hours ago"),
        (timedelta(seconds=-61), "after the signal"),
    ],
)
def test_supply_that_is_stale_or_of_the_future_is_left_out(age: timedelta, reason: str) -> None:
    moved = {name: replace(item, as_of=NOW - age) for name, item in figures().items()}

    signal = spoken("value", replace(full_evidence(), supply=moved))

    assert any(reason in item for item in signal.reasons)
    assert "75% of the weight has data" in signal.reasons


def test_a_source_of_holders_that_gave_nothing_is_named() -> None:
    shares = figures(top_10_holder_share=None, top_100_holder_share=None)
    missing = {"supply.ethplorer": "ethplorer answered 500"}

    signal = spoken("value", replace(full_evidence(), supply=shares, missing=missing))

    assert (
        "not counted: top 10 (no source gives top_10_holder_share; "
        "nothing from ethplorer: ethplorer answered 500)"
    ) in signal.reasons


def test_supply_alone_is_too_little() -> None:
    evidence = replace(full_evidence(), on_chain={}, missing={"on_chain": "the source is down"})

    assert refused("value", evidence) == (
        "not counted: mvrv, mvrv z, nvt (the source is down); 25% of the weight has data, 50% is needed"
    )


def test_market_values_without_realised_value_are_too_little() -> None:
    chain = on_chain()
    del chain["realised_cap_usd"]

    abstention = judged("value", replace(full_evidence(), on_chain=chain, supply={}))

    assert isinstance(abstention, Abstention)
    assert "no source gives realised_cap_usd; no source gives mvrv" in abstention.reason
    assert [item.name for item in abstention.inputs] == ["nvt_signal", "nvt_percentile"]


def test_components_are_averaged_by_weight() -> None:
    # Dilution +0.5 of weight 0.6, ten holders -0.5 of weight 0.2: 0.2 / 0.8 = 0.25; agreement 0.2 / 0.4.
    supply = figures(circulating_supply=87.5, max_supply=100.0, top_10_holder_share=0.35)
    parameters = only("dilution", "top_10", weight_dilution=0.6, weight_top_10=0.2)

    signal = spoken("value", with_chain(supply=supply), parameters)

    assert (signal.score, signal.confidence, signal.signal) == (0.25, 0.5, Direction.BUY)


def test_cheaper_by_mvrv_never_scores_lower() -> None:
    chain = on_chain()
    paid = float(chain["realised_cap_usd"].values[-1])
    scores = [
        spoken(
            "value",
            replace(
                full_evidence(),
                on_chain=chain | {"realised_cap_usd": newest(chain["realised_cap_usd"], paid * factor)},
            ),
        ).score
        for factor in (0.05, 0.3, 0.5, 0.8, 1.0, 1.2, 2.0, 20.0)
    ]

    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


def test_higher_market_value_never_scores_higher() -> None:
    chain = on_chain()
    now = float(chain["market_cap_usd"].values[-1])
    scores = [
        spoken(
            "value",
            replace(
                full_evidence(),
                on_chain=chain | {"market_cap_usd": newest(chain["market_cap_usd"], now * factor)},
            ),
        ).score
        for factor in (0.001, 0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 10.0, 1000.0)
    ]

    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


def test_signal_names_version_time_and_what_it_was_made_from() -> None:
    signal = spoken("value", full_evidence())

    assert (signal.agent, signal.agent_version, signal.generated_at) == ("value", AGENT_VERSION, NOW)
    assert [item.name for item in signal.inputs] == [
        "mvrv",
        "market_cap_usd",
        "mvrv_z",
        "nvt_signal",
        "nvt_percentile",
        "circulating_supply",
        "max_supply",
        "top_10_holder_share",
        "top_100_holder_share",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mvrv_cheap": 1.8}, "mvrv_cheap must be less than mvrv_fair"),
        ({"mvrv_z_fair": 6.0}, "mvrv_z_fair must be less than mvrv_z_dear"),
        ({"unissued_fair_pct": 75}, "unissued_fair_pct must be less than unissued_dear_pct"),
        ({"top_10_fair_pct": 50}, "top_10_fair_pct must be less than"),
        ({"top_100_fair_pct": 80}, "top_100_fair_pct must be less than"),
        ({"history_days": 364}, "min_history_days must be at most history_days"),
    ],
)
def test_thresholds_in_the_wrong_order_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        ValueParameters.of(settings)


def test_definition_reads_chain_and_supply_and_looks_a_month_ahead() -> None:
    assert DEFINITION.horizon(ValueParameters(), Interval.HOUR) == timedelta(days=30)
    assert {str(item) for item in DEFINITION.reads} == {"on_chain", "supply"}
