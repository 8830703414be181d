"""Nothing of the future is in a past signal: altered, shifted or cut-off later data move nothing before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.hindsight import as_of
from alphapulse.domain.agents.registry import agent
from alphapulse.domain.backtest import walk
from alphapulse.domain.backtest.run import Backtest, Result, run
from alphapulse.domain.backtest.terms import InvalidTerms, Terms, WalkForward
from alphapulse.domain.candles import Candle
from alphapulse.domain.signals import Abstention, Signal
from tests.unit.domain.backtest.markets import (
    DAY,
    FOLLOW,
    RuleParameters,
    agent_of,
    bars_of,
    evidence_of,
    follow,
    random_bars,
    say,
)

PLAIN = WalkForward()
GRID = WalkForward(folds=3, grid={"lookback": (2, 4, 8)})
BARS = 130


def outcome(
    candles: Sequence[Candle],
    definition: AgentDefinition = FOLLOW,
    *,
    plan: WalkForward = PLAIN,
    **more: Any,
) -> Result:
    backtest = Backtest(definition, more.pop("own", {}), Terms(), plan)
    return run(backtest, candles, evidence_of(candles), **more)


def altered(candles: Sequence[Candle], cut: int, factor: Decimal) -> list[Candle]:
    """The same bars up to `cut`, other prices from there on."""
    return [
        *candles[:cut],
        *(
            replace(
                c, open=c.open * factor, high=c.high * factor * 2, low=c.low * factor, close=c.close * factor
            )
            for c in candles[cut:]
        ),
    ]


def shifted(candles: Sequence[Candle], cut: int) -> list[Candle]:
    """The same bars up to `cut`; later ones come a week later."""
    return [*candles[:cut], *(replace(c, open_time=c.open_time + 7 * DAY) for c in candles[cut:])]


def agree_up_to(cut: int, one: Result, other: Result) -> None:
    assert one.said[:cut] == other.said[:cut]
    assert one.simulation.points[:cut] == other.simulation.points[:cut]
    ended = one.simulation.points[cut - 1].at
    for fills in zip(*([f for f in r.simulation.fills if f.at < ended] for r in (one, other)), strict=True):
        assert fills[0] == fills[1]


@given(
    seed=st.integers(0, 10_000), cut=st.integers(51, BARS - 1), factor=st.sampled_from(["0.3", "1.7", "9"])
)
@settings(max_examples=12, deadline=None)
def test_altered_shifted_or_missing_future_bars_move_no_past_signal_of_the_technical_agent(
    seed: int, cut: int, factor: str
) -> None:
    candles = random_bars(BARS, seed)
    technical = agent("technical")
    settings_ = {"window": 60}
    before = outcome(candles, technical, own=settings_)

    for future in (altered(candles, cut, Decimal(factor)), shifted(candles, cut), candles[:cut]):
        agree_up_to(cut, before, outcome(future, technical, own=settings_))


def test_a_look_one_bar_ahead_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(evidence: Evidence, moment: datetime, *, bars: int | None = None) -> Evidence:
        return as_of(evidence, moment + DAY, bars=bars)

    monkeypatch.setattr(walk, "as_of", leaking)
    candles, cut = random_bars(60, seed=7), 30
    # The bar after the cut is one the agent would follow up, and now follows down.
    before, after = outcome(candles), outcome(altered(candles, cut, Decimal("0.01")))

    assert before.said[: cut - 1] == after.said[: cut - 1]
    assert before.said[:cut] != after.said[:cut]


@given(seed=st.integers(0, 10_000), data=st.data())
@settings(max_examples=25, deadline=None)
def test_parameters_of_a_fold_are_chosen_on_the_bars_before_it_only(seed: int, data: st.DataObject) -> None:
    candles = random_bars(120, seed)
    before = outcome(candles, plan=GRID)
    fold = data.draw(st.integers(0, 2))
    start = 30 * (fold + 1)

    after = outcome(altered(candles, start, Decimal(5)), plan=GRID)

    assert [f.settings for f in before.folds[: fold + 1]] == [f.settings for f in after.folds[: fold + 1]]
    assert [f.learnt_sharpe for f in before.folds[: fold + 1]] == [
        f.learnt_sharpe for f in after.folds[: fold + 1]
    ]
    judged = start - 30
    if judged:
        agree_up_to(judged, before, after)


def test_signals_equal_those_of_asking_the_agent_directly() -> None:
    candles = random_bars(120, seed=5, missing=frozenset({60, 61}))
    technical = agent("technical")
    parameters = technical.parameters.of({"window": 60})
    result = outcome(candles, technical, own={"window": 60})

    for number, verdict in enumerate(result.said):
        known = candles[: number + 1]
        now = known[-1].open_time + DAY
        spoken = technical.speak(replace(evidence_of(known), now=now), parameters)
        if isinstance(spoken, Abstention):
            assert verdict.reason == spoken.reason
        else:
            assert (verdict.direction, verdict.score, verdict.confidence) == (
                spoken.signal,
                spoken.score,
                spoken.confidence,
            )


def test_the_agent_gets_its_newest_closed_bars_and_the_moment_of_the_close() -> None:
    asked: list[Evidence] = []

    def listen(evidence: Evidence, own: RuleParameters) -> Signal | Abstention:
        asked.append(evidence)
        return follow(evidence, own)

    candles = random_bars(10, seed=2, missing=frozenset({4}))
    outcome(candles, agent_of(listen), first=5)

    assert [evidence.now for evidence in asked] == [candle.open_time + DAY for candle in candles[5:]]
    assert [evidence.bars.series.open_times for evidence in asked if evidence.bars] == [
        tuple(candle.open_time for candle in candles[end - 3 : end]) for end in range(6, 11)
    ]


def test_bars_before_the_first_are_looked_back_on_and_not_traded() -> None:
    candles = random_bars(30, seed=3)

    result = outcome(candles, first=10)

    assert (len(result.said), result.history_bars) == (20, 10)
    assert not result.abstentions
    assert min(fill.at for fill in result.simulation.fills) > candles[10].open_time


def test_abstentions_are_counted_by_reason_whatever_the_numbers_in_it() -> None:
    result = outcome(random_bars(30, seed=3), own={"lookback": 7})

    [abstention] = result.abstentions
    assert (abstention.reason, abstention.count) == ("needs … bars of 1d, found …", 6)
    assert abstention.example == "needs 7 bars of 1d, found 1"


def test_the_candidate_with_the_best_past_speaks() -> None:
    rising = [(str(100 + n), str(101 + n)) for n in range(40)]
    swinging = [("140", "150"), ("150", "140")] * 40

    result = outcome(bars_of(rising + swinging), plan=GRID)

    assert [fold.bars for fold in result.folds] == [30, 30, 30]
    assert result.learnt_bars == 30
    # While it only rises, the shorter the lookback the earlier one is in.
    assert result.folds[0].settings == {"lookback": 2}
    assert result.evaluations == 3 * 120


def test_folds_without_a_grid_judge_the_given_parameters() -> None:
    result = outcome(random_bars(100, seed=9), plan=WalkForward(folds=4))

    assert [fold.settings for fold in result.folds] == [{}] * 4
    figures = [fold.figures for fold in result.folds if fold.figures is not None]
    final = [own.final_equity for own in figures]
    assert final[-1] == result.figures.final_equity
    assert [own.starting_equity for own in figures[1:]] == final[:-1]


def test_a_fold_that_begins_with_nothing_left_has_no_figures() -> None:
    # Short from the first close on; the price triples on day 30 and stays there.
    candles = bars_of([("100", "100")] * 30 + [("100", "300")] + [("350", "350")] * 29)
    sells = agent_of(lambda evidence, _own: say(evidence, -1.0))

    result = run(Backtest(sells, {}, Terms(short=True), WalkForward(folds=2)), candles, evidence_of(candles))

    assert result.simulation.ruined_at == candles[31].open_time
    ruined, after = result.folds
    assert ruined.figures is not None
    assert ruined.figures.total_return < -1
    assert after.figures is None


@pytest.mark.parametrize(
    ("folds", "grid", "text"),
    [
        (0, {"lookback": (2,)}, "a grid needs folds"),
        (13, {}, "folds must be from 0 to 12"),
        (2, {"lookback": ()}, "none for lookback"),
        (2, dict.fromkeys("abcde", (1,)), "may vary 4 parameters"),
    ],
)
def test_plans_that_make_no_sense_are_refused(folds: int, grid: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidTerms, match=text):
        WalkForward(folds, grid)


def test_too_few_bars_are_refused() -> None:
    with pytest.raises(InvalidTerms, match="needs 2 bars, found 1"):
        outcome(random_bars(1, seed=1))
    with pytest.raises(InvalidTerms, match="3 folds need 80 bars, found 79"):
        outcome(random_bars(79, seed=1), plan=GRID)


def test_a_tick_that_raises_stops_the_walk() -> None:
    seen: list[tuple[int, int]] = []

    def tick(done: int, all_: int) -> None:
        seen.append((done, all_))
        if done >= 64:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        outcome(random_bars(200, seed=1), tick=tick)

    assert seen == [(0, 200), (32, 200), (64, 200)]
    assert np.all(np.diff([done for done, _ in seen]) > 0)
