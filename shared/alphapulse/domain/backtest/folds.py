"""Walk-forward: for each stretch of bars, the parameters that did best on the bars before it.

The bars are cut into one stretch more than there are folds. The first is only learnt from. For each later
one every candidate is simulated on all bars before it, from the first on, and the one with the highest
Sharpe ratio (none counts as 0; the earlier in the grid wins a tie) speaks in it. The position is carried from
one fold into the next, so that the judged curve is one account's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from alphapulse.domain.backtest.figures import Figures, figures_of
from alphapulse.domain.backtest.simulation import Point, simulate
from alphapulse.domain.backtest.terms import InvalidTerms, Terms, WalkForward
from alphapulse.domain.backtest.walk import Verdict
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval

#: Bars a stretch must have.
LEAST_BARS: Final = 20


@dataclass(frozen=True, slots=True)
class Fold:
    """A stretch of bars, and the candidate that speaks in it.

    Attributes
    ----------
    start, end : int
        Positions among the bars; learnt from what is before `start`, judged up to before `end`.
    candidate : int
        Position among the candidates.
    learnt_sharpe : float or None
        Of the candidate on the bars before; None when it did not trade there.
    """

    start: int
    end: int
    candidate: int
    learnt_sharpe: float | None


@dataclass(frozen=True, slots=True)
class FoldReport:
    """How a fold's choice did on bars it had not seen.

    Attributes
    ----------
    settings : dict
        The values of the grid that were chosen.
    learnt_sharpe : float or None
        On the bars before.
    figures : Figures or None
        Of the judged bars; None when the account was worth nothing any more before them.
    bars : int
        Judged.
    """

    settings: dict[str, Any]
    learnt_sharpe: float | None
    figures: Figures | None
    bars: int


def bounds_of(bars: int, folds: int) -> list[tuple[int, int]]:
    """Return start and end of each judged stretch.

    Raises
    ------
    InvalidTerms
        There are too few bars.
    """
    edges = [bars * number // (folds + 1) for number in range(folds + 2)]
    if bars < LEAST_BARS * (folds + 1):
        raise InvalidTerms(f"{folds} folds need {LEAST_BARS * (folds + 1)} bars, found {bars}")
    return list(pairwise(edges[1:]))


def choose(
    candles: Sequence[Candle],
    said: Sequence[Sequence[Verdict]],
    *,
    plan: WalkForward,
    interval: Interval,
    terms: Terms,
) -> list[Fold]:
    """Choose a candidate for each fold.

    Parameters
    ----------
    candles : sequence of Candle
        All bars.
    said : sequence of sequences of Verdict
        What each candidate says at each of them.
    plan, interval, terms
        Folds, length of a bar, costs and sizes.
    """
    chosen = []
    for start, end in bounds_of(len(candles), plan.folds):
        learnt = [
            figures_of(
                simulate(candles[:start], own[:start], interval=interval, terms=terms).points, interval
            ).sharpe
            for own in said
        ]
        best = max(range(len(said)), key=lambda number: learnt[number] or 0.0)
        chosen.append(Fold(start, end, best, learnt[best]))
    return chosen


def stitched(folds: Sequence[Fold], said: Sequence[Sequence[Verdict]]) -> list[Verdict]:
    """Return what the chosen candidates say, one fold after the other."""
    return [verdict for fold in folds for verdict in said[fold.candidate][fold.start : fold.end]]


def reports(
    folds: Sequence[Fold], points: Sequence[Point], *, plan: WalkForward, interval: Interval
) -> list[FoldReport]:
    """Return how each fold did; its curve begins with the equity the one before left.

    Parameters
    ----------
    folds : sequence of Fold
        In order of time.
    points : sequence of Point
        Of the judged bars.
    plan, interval
        Folds and grid, length of a bar.
    """
    candidates, first = plan.candidates, folds[0].start
    told = []
    for fold in folds:
        start, end = fold.start - first, fold.end - first
        curve = points[max(start - 1, 0) : end]
        told.append(
            FoldReport(
                settings=candidates[fold.candidate],
                learnt_sharpe=fold.learnt_sharpe,
                figures=figures_of(curve, interval) if curve[0].equity > 0 else None,
                bars=fold.end - fold.start,
            )
        )
    return told
