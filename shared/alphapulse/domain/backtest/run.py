"""A backtest: from candles and an agent to a curve, its figures, and everything that must be said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.parameters import Parameters
from alphapulse.domain.backtest import folds as walk_forward
from alphapulse.domain.backtest.figures import Activity, Figures, activity_of, figures_of
from alphapulse.domain.backtest.folds import FoldReport
from alphapulse.domain.backtest.simulation import Simulation, buy_and_hold, simulate
from alphapulse.domain.backtest.terms import InvalidTerms, Terms, WalkForward
from alphapulse.domain.backtest.walk import (
    AbstentionCount,
    Tick,
    Verdict,
    count_abstentions,
    no_tick,
    verdicts,
)
from alphapulse.domain.candles import Candle, Gap, find_gaps

#: An open must follow the first close.
LEAST_BARS = 2


@dataclass(frozen=True, slots=True)
class Backtest:
    """What is asked.

    Attributes
    ----------
    definition : AgentDefinition
        The agent.
    settings : mapping
        Its parameters; what is not set keeps its default. The grid overrides them.
    terms : Terms
        Costs and sizes.
    plan : WalkForward
        Folds and grid.
    """

    definition: AgentDefinition
    settings: Mapping[str, Any]
    terms: Terms
    plan: WalkForward

    @property
    def candidates(self) -> list[Parameters]:
        """The parameters of each combination of the grid.

        Raises
        ------
        InvalidParameters
            One is not allowed.
        """
        kind = self.definition.parameters
        return [kind.of({**self.settings, **own}) for own in self.plan.candidates]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    Attributes
    ----------
    simulation, benchmark : Simulation
        The agent's account, and buy-and-hold on the same bars and terms.
    figures, benchmark_figures : Figures
        Of the two.
    activity : Activity
        How much was traded.
    said : tuple of Verdict
        At each judged close.
    abstentions : list of AbstentionCount
        By reason.
    gaps : list of Gap
        Among the judged bars.
    folds : list of FoldReport
        Empty without folds.
    opens_at, closes_at : datetime
        Open of the first judged bar, close of the last.
    learnt_bars, history_bars : int
        Bars before the judged ones: that parameters were chosen on, and that the agent only looked back on.
    evaluations : int
        How often the agent was asked.
    """

    simulation: Simulation
    benchmark: Simulation
    figures: Figures
    benchmark_figures: Figures
    activity: Activity
    said: tuple[Verdict, ...]
    abstentions: list[AbstentionCount]
    gaps: list[Gap]
    folds: list[FoldReport]
    opens_at: datetime
    closes_at: datetime
    learnt_bars: int
    history_bars: int
    evaluations: int


def run(
    backtest: Backtest, candles: Sequence[Candle], whole: Evidence, *, first: int = 0, tick: Tick = no_tick
) -> Result:
    """Walk an agent over candles and trade what it says.

    Parameters
    ----------
    backtest : Backtest
        What is asked.
    candles : sequence of Candle
        Ascending bars that exist, with those before `first` for the agent to look back on.
    whole : Evidence
        Of the same bars, with all other data the agent reads, past and future.
    first : int
        Position of the first bar that is traded or learnt from.
    tick : callable
        Progress over all candidates; raising stops the run.

    Raises
    ------
    InvalidTerms
        There are too few bars.
    InvalidParameters
        A combination of settings and grid is not allowed.
    """
    if len(candles) - first < LEAST_BARS:
        raise InvalidTerms(f"a backtest needs {LEAST_BARS} bars, found {len(candles) - first}")
    candidates, traded = backtest.candidates, candles[first:]
    if backtest.plan.folds:
        walk_forward.bounds_of(len(traded), backtest.plan.folds)
    said = []
    for number, parameters in enumerate(candidates):
        step = _part_of(tick, number, len(candidates))
        said.append(verdicts(backtest.definition, parameters, whole, first=first, tick=step))
    return _judge(backtest, traded, said, whole, first)


def _judge(
    backtest: Backtest,
    traded: Sequence[Candle],
    said: Sequence[Sequence[Verdict]],
    whole: Evidence,
    first: int,
) -> Result:
    interval, terms, plan = whole.interval, backtest.terms, backtest.plan
    folds, judged, spoken = [], traded, list(said[0])
    if plan.folds:
        folds = walk_forward.choose(traded, said, plan=plan, interval=interval, terms=terms)
        judged, spoken = traded[folds[0].start :], walk_forward.stitched(folds, said)
    simulation = simulate(judged, spoken, interval=interval, terms=terms)
    benchmark = buy_and_hold(judged, interval=interval, terms=terms)
    points = simulation.points
    return Result(
        simulation=simulation,
        benchmark=benchmark,
        figures=figures_of(points, interval),
        benchmark_figures=figures_of(benchmark.points, interval),
        activity=activity_of(simulation),
        said=tuple(spoken),
        abstentions=count_abstentions(spoken, [point.at for point in points]),
        gaps=find_gaps([candle.open_time for candle in judged], interval),
        folds=walk_forward.reports(folds, points, plan=plan, interval=interval) if folds else [],
        opens_at=judged[0].open_time,
        closes_at=judged[-1].open_time + timedelta(seconds=interval.seconds),
        learnt_bars=len(traded) - len(judged),
        history_bars=first,
        evaluations=sum(len(own) for own in said),
    )


def _part_of(tick: Tick, number: int, parts: int) -> Tick:
    def step(done: int, all_: int) -> None:
        tick(number * all_ + done, parts * all_)

    return step
