"""Return, risk and cost of an equity curve. Statistics are ``float64``; amounts stay Decimal.

A year has 365 days, and a market that never closes has ``365 * 86,400 / interval`` bars in it. The risk-free
rate is 0. A figure that does not exist (no loss, no trade, no movement) is None, never 0.

References
----------
W. F. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1), 1994.
F. A. Sortino and L. N. Price, Performance Measurement in a Downside Risk Framework, Journal of Investing 3
(3), 1994 (target 0, downside deviation over all periods).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from alphapulse.domain.backtest.account import Stance
from alphapulse.domain.backtest.simulation import Point, Simulation
from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.instruments import Interval

DAYS_PER_YEAR: Final = 365
#: A shorter span is not annualised: it says nothing of a year.
LEAST_SPAN: Final = timedelta(days=30)

_SECONDS_PER_YEAR: Final = DAYS_PER_YEAR * 86_400


@dataclass(frozen=True, slots=True)
class Figures:
    """What an equity curve comes to.

    Attributes
    ----------
    starting_equity, final_equity : Decimal
        In the quote currency.
    total_return : float
        Final over starting equity, less 1.
    annualised_return : float or None
        Compounded to 365 days; None for less than 30 days.
    volatility, sharpe, sortino : float or None
        Annualised from the returns of single bars.
    max_drawdown : float
        Deepest fall below the highest equity until then, at most 0; the starting equity is the first peak.
    drawdown_from, drawdown_to : datetime or None
        Closes of that peak and that trough.
    periods_per_year : float
        Bars in a year.
    """

    starting_equity: Decimal
    final_equity: Decimal
    total_return: float
    annualised_return: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    drawdown_from: datetime | None
    drawdown_to: datetime | None
    periods_per_year: float


@dataclass(frozen=True, slots=True)
class Activity:
    """How much was traded, and what that cost.

    Attributes
    ----------
    exposure : float
        Share of the closes at which a position was held.
    turnover : float
        Notional of all fills over the mean equity, in all.
    fills, trades : int
        Executions, and positions that were opened and closed.
    hit_rate : float or None
        Share of the trades with a profit after fees.
    average_win, average_loss : float or None
        Profit share of the trades with a profit, and of the others.
    fees, slippage : Decimal
        Paid in all, in the quote currency.
    """

    exposure: float
    turnover: float
    fills: int
    trades: int
    hit_rate: float | None
    average_win: float | None
    average_loss: float | None
    fees: Decimal
    slippage: Decimal


def periods_per_year(interval: Interval) -> float:
    """Return how many bars a year of 365 days has."""
    return _SECONDS_PER_YEAR / interval.seconds


def returns_of(equity: ArrayLike) -> FloatArray:
    """Return simple returns of a curve, up to where it is worth nothing any more."""
    values = np.asarray(equity, dtype=np.float64)
    lost = np.flatnonzero(values <= 0.0)
    values = values[: int(lost[0]) + 1] if len(lost) else values
    return np.asarray(values[1:] / values[:-1] - 1.0, dtype=np.float64)


def sharpe(returns: FloatArray, periods: float) -> float | None:
    """Return mean over sample standard deviation, times the root of the periods in a year."""
    deviation = _deviation(returns)
    return None if deviation is None else float(returns.mean() / deviation * math.sqrt(periods))


def sortino(returns: FloatArray, periods: float) -> float | None:
    """Return mean over downside deviation, times the root of the periods in a year."""
    if not len(returns):
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(returns.mean() / downside * math.sqrt(periods)) if downside > 0 else None


def drawdowns(equity: ArrayLike) -> FloatArray:
    """Return how far each value is below the highest so far, as a share of that; at most 0."""
    values = np.asarray(equity, dtype=np.float64)
    return np.asarray(values / np.maximum.accumulate(values) - 1.0, dtype=np.float64)


def figures_of(points: Sequence[Point], interval: Interval) -> Figures:
    """Return the figures of a curve whose first point is the starting equity.

    Raises
    ------
    ValueError
        There is no point.
    """
    if not points:
        raise ValueError("a curve needs a point")
    equity = np.array([float(point.equity) for point in points])
    periods, returns = periods_per_year(interval), returns_of(equity)
    deviation, fallen = _deviation(returns), drawdowns(equity)
    trough = int(np.argmin(fallen))
    peak = int(np.argmax(equity[: trough + 1]))
    fell = fallen[trough] < 0
    return Figures(
        starting_equity=points[0].equity,
        final_equity=points[-1].equity,
        total_return=float(equity[-1] / equity[0] - 1.0),
        annualised_return=_annualised(equity, points[-1].at - points[0].at),
        volatility=None if deviation is None else deviation * math.sqrt(periods),
        sharpe=sharpe(returns, periods),
        sortino=sortino(returns, periods),
        max_drawdown=float(fallen[trough]),
        drawdown_from=points[peak].at if fell else None,
        drawdown_to=points[trough].at if fell else None,
        periods_per_year=periods,
    )


def activity_of(simulation: Simulation) -> Activity:
    """Return how much was traded."""
    points, trades = simulation.points, simulation.trades
    held = sum(point.stance is not Stance.FLAT for point in points)
    mean_equity = sum(float(point.equity) for point in points) / len(points)
    wins = [trade.profit_share for trade in trades if trade.pnl > 0]
    losses = [trade.profit_share for trade in trades if trade.pnl <= 0]
    return Activity(
        exposure=held / len(points),
        turnover=float(simulation.traded) / mean_equity if mean_equity > 0 else 0.0,
        fills=len(simulation.fills),
        trades=len(trades),
        hit_rate=len(wins) / len(trades) if trades else None,
        average_win=sum(wins) / len(wins) if wins else None,
        average_loss=sum(losses) / len(losses) if losses else None,
        fees=simulation.fees,
        slippage=simulation.slippage,
    )


def _deviation(returns: FloatArray) -> float | None:
    # Of equal returns the sum may leave rounding noise, of which a ratio would be made up.
    if len(returns) < 2 or float(np.ptp(returns)) <= 0.0:  # noqa: PLR2004 - a sample needs two
        return None
    return float(returns.std(ddof=1))


def _annualised(equity: FloatArray, span: timedelta) -> float | None:
    if span < LEAST_SPAN or equity[-1] <= 0:
        return None
    years = span.total_seconds() / _SECONDS_PER_YEAR
    return float((equity[-1] / equity[0]) ** (1.0 / years) - 1.0)
