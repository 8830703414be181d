"""Expected scores are computed by hand; the arithmetic stands beside them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alphapulse.domain.agents.fundamental import AGENT_VERSION, DEFINITION
from alphapulse.domain.agents.fundamental_parameters import FundamentalParameters
from alphapulse.domain.agents.parameters import InvalidParameters, Parameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Direction
from tests.unit.domain.agents.builders import (
    NOW,
    full_evidence,
    newest,
    on_chain,
    refused,
    series,
    spoken,
    value_of,
    with_chain,
)
from tests.unit.domain.agents.builders import only as only_of

# 98 days are 14 weeks: as many of the one as of the other growth.
SHORT = {"history_days": 98, "min_history_days": 98, "smoothing_days": 1, "growth_days": 7}


def only(*components: str, **settings: float) -> Parameters:
    return only_of("fundamental", *components, **settings)


def weekly_growth(newest_growth: float) -> np.ndarray:
    """Return 106 figures whose growth over 7 days was e^0.1 and e^0.3 in turns, then the newest growth."""
    logs = [0.0] * 7
    while len(logs) < 105:
        week = len(logs) // 7
        logs.append(logs[-7] + (0.1 if week % 2 else 0.3))
    return np.exp([*logs, logs[-7] + newest_growth])


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("transfer_volume", "transfer_volume_usd"),
        ("active_addresses", "active_addresses"),
        ("transactions", "transactions"),
        ("fees", "fees_usd"),
    ],
)
def test_activity_that_grows_faster_than_usual_buys(component: str, name: str) -> None:
    # Past growth: median (0.1 + 0.3) / 2 = 0.2, every deviation 0.1, so MAD 0.1.
    # Newest 0.35: z = (0.35 - 0.2) / (1.482602 * 0.1) = 1.0117347; / 2 = 0.505867.
    signal = spoken("fundamental", with_chain(series(name, weekly_growth(0.35))), only(component, **SHORT))

    assert value_of(signal, f"{name}_growth_z") == pytest.approx(0.15 / 0.1482602)
    assert signal.score == pytest.approx(0.505867, abs=1e-6)
    assert signal.signal is Direction.BUY
    assert signal.confidence == 1.0
    assert signal.reasons[0].startswith(component.replace("_", " "))
    assert "+41.9 % over 7 days, 1.01 deviations above its usual growth in 98 days" in signal.reasons[0]


def test_activity_that_grows_slower_than_usual_sells() -> None:
    # z = (0.05 - 0.2) / 0.1482602 = -1.0117347: it grows, and less than usual.
    evidence = with_chain(series("transactions", weekly_growth(0.05)))

    signal = spoken("fundamental", evidence, only("transactions", **SHORT))

    assert signal.score == pytest.approx(-0.505867, abs=1e-6)
    assert signal.signal is Direction.SELL


def nvt_evidence(newest_log: float) -> tuple[np.ndarray, np.ndarray]:
    transfers = np.exp(np.sin(np.arange(99)))
    logs = np.array([3.0 + 0.2 * (day % 2) for day in range(98)] + [newest_log])
    return transfers * np.exp(logs), transfers


@pytest.mark.parametrize(("newest_log", "score"), [(2.95, 0.505867), (3.25, -0.505867), (3.1, 0.0)])
def test_low_nvt_buys_and_high_nvt_sells(newest_log: float, score: float) -> None:
    # Past ln NVT: median 3.1, MAD 0.1; z = (2.95 - 3.1) / 0.1482602 = -1.0117347; -z / 2.
    market_cap, transfers = nvt_evidence(newest_log)
    evidence = with_chain(series("market_cap_usd", market_cap), series("transfer_volume_usd", transfers))

    signal = spoken("fundamental", evidence, only("nvt", **SHORT, nvt_smoothing_days=1))

    assert signal.score == pytest.approx(score, abs=1e-6)
    assert value_of(signal, "nvt_signal") == pytest.approx(np.exp(newest_log))


def test_nvt_divides_by_the_mean_of_the_smoothing_days() -> None:
    transfers = np.tile([50.0, 150.0], 100)
    market_cap = 1000.0 + 10.0 * np.sin(np.arange(200))
    evidence = with_chain(
        series("market_cap_usd", newest(series("m", market_cap), 800.0).values),
        series("transfer_volume_usd", transfers),
    )

    signal = spoken("fundamental", evidence, only("nvt", **SHORT, nvt_smoothing_days=90))

    assert value_of(signal, "nvt_signal") == pytest.approx(800.0 / 100.0)
    assert signal.score == 1.0


def supply_growing(yearly: float, newest_year: float) -> np.ndarray:
    logs = yearly * np.arange(600) / 365
    logs[-1] = logs[-366] + newest_year
    return 1e6 * np.exp(logs)


@pytest.mark.parametrize(("newest_year", "score"), [(0.03, 0.5), (0.05, -0.5), (0.04, 0.0), (-0.02, 1.0)])
def test_less_inflation_than_usual_speaks_for_buying(newest_year: float, score: float) -> None:
    # Usual 4 % a year; (4 - 3) points / 2 points = 0.5.
    settings = {"history_days": 200, "min_history_days": 100, "growth_days": 365}
    evidence = with_chain(series("supply", supply_growing(0.04, newest_year)))

    signal = spoken("fundamental", evidence, only("inflation", **settings))

    assert signal.score == pytest.approx(score, abs=1e-6)
    assert value_of(signal, "inflation_pct") == pytest.approx(100 * newest_year)


def test_supply_that_is_fixed_is_no_broken_source() -> None:
    signal = spoken("fundamental", with_chain(series("supply", [21e6] * 1000)), only("inflation"))

    assert (signal.score, signal.signal) == (0.0, Direction.HOLD)


def test_components_are_averaged_by_weight_and_disagreement_lowers_confidence() -> None:
    # +0.505867 of weight 0.75 against -0.505867 of weight 0.25:
    # score 0.505867 * (0.75 - 0.25) / (0.75 + 0.25) = 0.252934; agreement 0.5.
    evidence = with_chain(
        series("transactions", weekly_growth(0.35)), series("fees_usd", weekly_growth(0.05))
    )
    parameters = only("transactions", "fees", **SHORT, weight_transactions=0.75, weight_fees=0.25)

    signal = spoken("fundamental", evidence, parameters)

    assert signal.score == pytest.approx(0.252934, abs=1e-6)
    assert signal.confidence == pytest.approx(0.5)


def test_missing_component_is_named_and_lowers_confidence_by_its_weight() -> None:
    parameters = only("transactions", "fees", **SHORT, weight_transactions=0.75, weight_fees=0.25)

    signal = spoken("fundamental", with_chain(series("transactions", weekly_growth(0.35))), parameters)

    assert signal.score == pytest.approx(0.505867, abs=1e-6)
    assert signal.confidence == pytest.approx(0.75)
    assert signal.reasons[1:] == (
        "not counted: fees (no source gives fees_usd)",
        "75% of the weight has data",
    )


def test_too_little_weight_with_data_abstains_with_the_shares() -> None:
    parameters = only("transactions", "fees", **SHORT, weight_transactions=0.25, weight_fees=0.75)

    reason = refused("fundamental", with_chain(series("transactions", weekly_growth(0.35))), parameters)

    assert reason == (
        "not counted: fees (no source gives fees_usd); 25% of the weight has data, 50% is needed"
    )


def test_short_history_abstains_with_the_days() -> None:
    evidence = with_chain(*on_chain(100).values())

    assert "transactions needs 180 days, found 100" in refused("fundamental", evidence)


def test_stale_series_abstain_and_a_replay_is_never_stale() -> None:
    late = NOW + timedelta(days=2, hours=12)

    assert spoken("fundamental", replace(full_evidence(), now=late))
    reason = refused("fundamental", replace(full_evidence(), now=late + timedelta(seconds=1)))
    assert "transactions ends with 2026-06-01T00:00:00+00:00, more than 3 days ago" in reason
    replayed = spoken(
        "fundamental", replace(full_evidence(source="directory"), now=late + timedelta(days=4000))
    )
    assert replayed.signal


def test_signal_names_version_time_and_what_it_was_made_from() -> None:
    signal = spoken("fundamental", full_evidence())

    assert (signal.agent, signal.agent_version, signal.generated_at) == ("fundamental", AGENT_VERSION, NOW)
    assert [item.name for item in signal.inputs] == [
        "transfer_volume_usd",
        "transfer_volume_usd_growth_z",
        "active_addresses",
        "active_addresses_growth_z",
        "transactions",
        "transactions_growth_z",
        "fees_usd",
        "fees_usd_growth_z",
        "nvt_signal",
        "nvt_signal_z",
        "supply",
        "inflation_pct",
    ]
    assert {(item.as_of, item.source) for item in signal.inputs} == {
        (NOW.replace(hour=0), "simulated"),
    }


def test_scale_of_the_figures_changes_nothing() -> None:
    found = on_chain()
    scaled = [replace(item, values=item.values * 1e-6) for item in found.values()]

    expected, actual = (spoken("fundamental", with_chain(*chain)) for chain in (found.values(), scaled))

    assert actual.score == pytest.approx(expected.score, abs=1e-5)
    assert actual.confidence == pytest.approx(expected.confidence, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "rises"),
    [
        ("active_addresses", True),
        ("transactions", True),
        ("fees_usd", True),
        ("market_cap_usd", False),
        ("supply", False),
    ],
)
def test_more_of_a_figure_never_moves_the_score_the_wrong_way(name: str, rises: bool) -> None:
    chain = on_chain()
    scores = []
    for factor in (0.1, 0.5, 0.9, 1.0, 1.01, 1.5, 10.0):
        changed = newest(chain[name], float(chain[name].values[-1]) * factor)
        scores.append(spoken("fundamental", with_chain(*(chain | {name: changed}).values())).score)

    assert scores == sorted(scores, reverse=not rises)
    assert scores[0] != scores[-1]


def test_more_history_needed_than_used_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="min_history_days must be at most history_days"):
        FundamentalParameters(history_days=100, min_history_days=101)


def test_definition_reads_the_chain_only_and_looks_a_week_ahead() -> None:
    parameters = FundamentalParameters()

    assert DEFINITION.bars(parameters) == 0
    assert DEFINITION.horizon(parameters, Interval.HOUR) == timedelta(days=7)
    assert {str(item) for item in DEFINITION.reads} == {"on_chain"}
