"""Expected scores are computed by hand; the arithmetic stands beside them."""

import math
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from alphapulse.domain.agents.buffett import AGENT_VERSION, DEFINITION
from alphapulse.domain.agents.buffett_parameters import BuffettParameters
from alphapulse.domain.agents.evidence import DailySeries
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


def only(*components: str, **settings: float) -> Parameters:
    return only_of("buffett", *components, **settings)


def price(now: float) -> DailySeries:
    """Return 730 prices with a geometric mean of 100: 364 of 50, 364 of 200, one of 100, and the newest."""
    return series("price_usd", [50.0, 200.0] * 364 + [100.0, now])


SHORT = {"mean_days": 730}
NO_GATE = {"margin_required_pct": 0}


@pytest.mark.parametrize(
    ("now", "score"),
    [
        # ln(mean / price) = 729 / 730 * ln(100 / price), the newest price being part of the mean.
        # Full margin is 50 %: ln(1 / 0.5); full premium 4: ln 4.
        (100 / math.sqrt(2), 729 / 730 * math.log(math.sqrt(2)) / math.log(2)),
        (25.0, 1.0),
        (100.0, 0.0),
        (200.0, -729 / 730 * math.log(2) / math.log(4)),
        (800.0, -1.0),
    ],
)
def test_price_below_its_mean_buys_and_above_sells(now: float, score: float) -> None:
    signal = spoken("buffett", with_chain(price(now)), only("margin", **SHORT))

    assert signal.score == pytest.approx(score, abs=1e-6)
    assert value_of(signal, "price_mean_usd") == pytest.approx(100 * (now / 100) ** (1 / 730))


@pytest.mark.parametrize(
    ("now", "score"),
    # Highest 200: 80 is 60 % below, (60 - 40) / (80 - 40); 160 is 20 % below, (20 - 40) / 40.
    [(20.0, 1.0), (80.0, 0.5), (120.0, 0.0), (160.0, -0.5), (250.0, -1.0)],
)
def test_fall_from_the_highest_price_speaks_for_buying(now: float, score: float) -> None:
    parameters = only("drawdown", **SHORT, **NO_GATE)

    signal = spoken("buffett", with_chain(price(now)), parameters)

    assert signal.score == pytest.approx(score, abs=1e-6)


def test_the_best_network_is_sold_when_it_costs_many_times_its_mean() -> None:
    # All that is not price scores +1, weight 0.35; margin and drawdown -1, weight 0.65.
    falls = np.repeat([100.0, 40.0, 110.0, 50.0, 120.0], [400, 200, 400, 200, 2300])
    bubble = np.concatenate((falls, np.linspace(130.0, 5000.0, 150)))
    growing = 1000.0 * np.exp(0.6 * np.arange(len(bubble)) / 365)
    names = ("active_addresses", "transactions", "fees_usd")
    network = [series(name, growing) for name in names]

    signal = spoken("buffett", with_chain(series("price_usd", bubble), *network))

    assert (signal.score, signal.signal) == (-0.3, Direction.SELL)
    assert signal.reasons[-1] == "no margin of safety: 0 % of the 15 % that buying needs"


def test_without_a_margin_of_safety_nothing_buys_and_the_reasons_say_so() -> None:
    # 95 is 729/730 of 5 % below the mean, 15 % are asked for: drawdown alone would give (52.5 - 40) / 40.
    signal = spoken("buffett", with_chain(price(95.0)), only("drawdown", **SHORT))

    assert (signal.score, signal.signal) == (0.0, Direction.HOLD)
    assert signal.reasons[-1] == (
        "no margin of safety: 4.99 % of the 15 % that buying needs, which limits the score from 0.312 to 0"
    )
    enough = spoken("buffett", with_chain(price(84.0)), only("drawdown", **SHORT))
    assert enough.score == pytest.approx((58 - 40) / 40)
    assert enough.reasons[-1] == "the margin of safety is 16 %, at least 15 % is asked for"


@pytest.mark.parametrize(("idle", "score"), [(0, 1.0), (8, 0.5), (16, 0.0), (32, -1.0), (400, -1.0)])
def test_days_without_activity_speak_against_buying(idle: int, score: float) -> None:
    # 8 of 800 days idle: uptime 99 %, (99 - 98) / (100 - 98) = 0.5.
    activity = np.where(np.arange(800) % 2 == 0, 5.0, 6.0)
    activity[100 : 100 + idle] = 0.0
    evidence = with_chain(price(50.0), series("transactions", activity))

    assert spoken("buffett", evidence, only("uptime", **SHORT)).score == pytest.approx(score)


def test_unknown_days_are_not_idle_days() -> None:
    activity = np.where(np.arange(800) % 2 == 0, 5.0, 6.0)
    activity[100:150] = np.nan
    evidence = with_chain(price(50.0), series("transactions", activity))

    assert spoken("buffett", evidence, only("uptime", **SHORT)).score == 1.0


def test_age_counts_from_the_first_activity() -> None:
    # 1461 days are 4 years; 2 * 4 / 5 - 1 = 0.6, half of it idle at first: 2 * 2 / 5 - 1 = -0.2.
    activity = np.where(np.arange(1461) % 2 == 0, 5.0, 6.0)
    whole = with_chain(price(50.0), series("transactions", activity))
    activity[:730] = 0.0
    half = with_chain(price(50.0), series("active_addresses", activity))
    parameters = only("age", **SHORT, age_full_years=5)

    assert spoken("buffett", whole, parameters).score == pytest.approx(0.6)
    assert spoken("buffett", half, parameters).score == pytest.approx(2 * (731 / 365.25) / 5 - 1, abs=1e-6)


def legs(*levels: float) -> np.ndarray:
    """Return prices that go straight from level to level, 200 days each."""
    return np.concatenate([np.linspace(first, then, 200) for first, then in pairwise(levels)])


@pytest.mark.parametrize(
    ("levels", "recovered", "score"),
    [
        # Deep is a fall by half. The last fall to 40 is deep and 200 days old: patience is 180 days.
        ((100, 40, 110, 50, 120, 119), 2, 1.0),
        ((100, 40, 110, 90, 120, 119), 1, 0.5),
        ((100, 90, 110, 90, 120, 119), 0, 0.0),
        ((100, 40, 110, 90, 120, 40), 1, 0.0),
        ((120, 100, 80, 60, 50, 40), 0, -0.5),
    ],
)
def test_recoveries_from_deep_falls_speak_for_buying(
    levels: tuple[float, ...], recovered: int, score: float
) -> None:
    found = newest(series("price_usd", legs(*levels)), 20.0)
    parameters = only("recoveries", recovery_patience_days=180)

    signal = spoken("buffett", with_chain(found), parameters)

    assert value_of(signal, "recoveries") == recovered
    assert signal.score == pytest.approx(score)


def years(*medians: float) -> np.ndarray:
    """Return whole years of 365 days that wander around their medians."""
    return np.concatenate([median * (1.0 + 0.001 * (np.arange(365) - 182)) for median in medians])


@pytest.mark.parametrize(
    ("component", "name"), [("addresses_level", "active_addresses"), ("fees_level", "fees_usd")]
)
def test_moat_is_judged_by_the_newest_year_against_the_best(component: str, name: str) -> None:
    # 180 of 200: (0.9 - 0.6) / (1 - 0.6) = 0.75; 60 of 200: (0.3 - 0.6) / 0.6 = -0.5.
    kept = with_chain(price(50.0), series(name, years(100, 200, 180)))
    lost = with_chain(price(50.0), series(name, years(100, 200, 60)))

    assert spoken("buffett", kept, only(component, **SHORT)).score == pytest.approx(0.75)
    assert spoken("buffett", lost, only(component, **SHORT)).score == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("component", "name"), [("addresses_trend", "active_addresses"), ("fees_trend", "fees_usd")]
)
def test_moat_is_judged_by_its_growth_over_years(component: str, name: str) -> None:
    # 100 to 121 in two years is 10 % a year: ln 1.1 / ln 1.25 = 0.427; 121 to 100 the same down.
    wider = with_chain(price(50.0), series(name, years(100, 500, 121)))
    narrower = with_chain(price(50.0), series(name, years(121, 500, 100)))
    expected = math.log(1.1) / math.log(1.25)

    assert spoken("buffett", wider, only(component, **SHORT)).score == pytest.approx(expected, abs=1e-6)
    assert spoken("buffett", narrower, only(component, **SHORT)).score == pytest.approx(-expected, abs=1e-6)


def test_years_before_those_of_the_moat_do_not_count_for_its_growth() -> None:
    # The newest three years grew by 10 % a year each, whatever was before.
    found = with_chain(price(50.0), series("fees_usd", years(900, 100, 110, 121)))
    expected = math.log(1.1) / math.log(1.25)

    signal = spoken("buffett", found, only("fees_trend", **SHORT, moat_years=3))

    assert signal.score == pytest.approx(expected, abs=1e-6)


def test_network_that_stopped_has_lost_its_moat() -> None:
    evidence = with_chain(price(50.0), series("fees_usd", np.concatenate([years(100, 200), np.zeros(365)])))

    signal = spoken("buffett", evidence, only("fees_level", "fees_trend", **SHORT, min_coverage=0.5))

    assert signal.score == -1.0
    assert "not counted: fees trend (fees_usd has no two years to grow between)" in signal.reasons


def test_years_of_history_that_are_missing_lower_confidence() -> None:
    # 730 of the 1461 days of the mean.
    signal = spoken("buffett", with_chain(price(50.0)), only("margin"))

    assert signal.confidence == pytest.approx(730 / 1461, abs=1e-6)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (series("price_usd", range(1, 730)), "price_usd needs 730 days, found 729"),
        (series("price_usd", [7.0] * 1000), "price_usd did not change in 1000 days"),
        (newest(price(1.0), 0.0), "price_usd is zero"),
        (series("fees_usd", range(1, 1000)), "no source gives price_usd"),
    ],
)
def test_without_a_multi_year_price_it_abstains_whatever_else_there_is(
    found: DailySeries, reason: str
) -> None:
    others = {name: item for name, item in on_chain().items() if name != "price_usd"}

    assert refused("buffett", with_chain(*(others | {found.name: found}).values())) == reason


def test_price_without_a_network_is_too_little() -> None:
    reason = refused("buffett", with_chain(on_chain()["price_usd"]))

    assert reason == (
        "not counted: uptime, age (no source gives transactions); not counted: addresses level, addresses "
        "trend (no source gives active_addresses); not counted: fees level, fees trend (no source gives "
        "fees_usd); 70% of the weight has data, 75% is needed"
    )


def test_cheaper_never_scores_lower() -> None:
    chain = on_chain()
    now = float(chain["price_usd"].values[-1])
    scores = [
        spoken(
            "buffett",
            replace(
                full_evidence(), on_chain=chain | {"price_usd": newest(chain["price_usd"], now * factor)}
            ),
        ).score
        for factor in (1000.0, 10.0, 2.0, 1.1, 1.0, 0.9, 0.8, 0.5, 0.1, 0.001)
    ]

    assert scores == sorted(scores)
    assert scores[0] < 0 < scores[-1]


@pytest.mark.parametrize("name", ["active_addresses", "fees_usd"])
def test_more_use_in_the_newest_year_never_scores_lower(name: str) -> None:
    chain = on_chain(1460)
    scores = []
    for factor in (0.01, 0.5, 0.9, 1.0, 1.2, 3.0):
        values = chain[name].values.copy()
        values[-365:] *= factor
        cheap = newest(chain["price_usd"], float(chain["price_usd"].values[-1]) / 10)
        changed = chain | {name: replace(chain[name], values=values), "price_usd": cheap}
        scores.append(spoken("buffett", replace(full_evidence(), on_chain=changed)).score)

    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


def test_signal_names_version_time_and_what_it_was_made_from() -> None:
    signal = spoken("buffett", full_evidence())

    assert (signal.agent, signal.agent_version, signal.generated_at) == ("buffett", AGENT_VERSION, NOW)
    assert [item.name for item in signal.inputs] == [
        "price_usd",
        "price_mean_usd",
        "drawdown_pct",
        "uptime_pct",
        "age_years",
        "recoveries",
        "active_addresses_year_median",
        "active_addresses_growth_pct_a_year",
        "fees_usd_year_median",
        "fees_usd_growth_pct_a_year",
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drawdown_fair_pct": 80}, "drawdown_fair_pct must be less than drawdown_full_pct"),
        ({"margin_required_pct": 51}, "margin_required_pct must be at most margin_full_pct"),
        ({"history_days": 730}, "mean_days must be at most history_days"),
        ({"min_history_days": 3650, "history_days": 2000}, "min_history_days must be at most history_days"),
    ],
)
def test_contradictory_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        BuffettParameters.of(settings)


def test_definition_reads_the_chain_only_and_looks_a_quarter_ahead() -> None:
    assert DEFINITION.horizon(BuffettParameters(), Interval.HOUR) == timedelta(days=90)
    assert {str(item) for item in DEFINITION.reads} == {"on_chain"}
