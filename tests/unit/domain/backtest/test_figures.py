"""Figures of a curve against numbers from elsewhere and definitions written out."""

import math
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from alphapulse.domain.backtest.account import Stance
from alphapulse.domain.backtest.figures import (
    drawdowns,
    figures_of,
    periods_per_year,
    returns_of,
    sharpe,
    sortino,
)
from alphapulse.domain.backtest.simulation import Point
from alphapulse.domain.instruments import Interval
from tests.unit.domain.backtest.markets import DAY, START

# Sharpe 1.72386 at 252 periods a year, 2.07467 at 365.
RETURNS = np.array([0.01, 0.10, -0.04, 0.02, 0.03, 0.02, 0.01, -0.10])


def points_of(*equities: float, step: timedelta = DAY) -> list[Point]:
    return [
        Point(START + number * step, Decimal(str(equity)), Stance.LONG)
        for number, equity in enumerate(equities)
    ]


@pytest.mark.parametrize(("periods", "expected"), [(252, 1.72386), (365, 2.07467)])
def test_sharpe_scales_with_the_root_of_the_periods(periods: int, expected: float) -> None:
    assert sharpe(RETURNS, periods) == pytest.approx(expected, abs=1e-5)


def test_sortino_divides_by_the_root_mean_square_of_the_losses() -> None:
    downside = math.sqrt((0.04**2 + 0.10**2) / 8)

    assert sortino(RETURNS, 365) == pytest.approx(RETURNS.mean() / downside * math.sqrt(365))
    assert sortino(np.array([0.01, 0.0, 0.02]), 365) is None


def test_drawdown_counts_a_loss_in_the_first_period() -> None:
    curve = [100.0, 80.0, 88.0, 96.8]

    assert min(drawdowns(curve)) == pytest.approx(-0.20)
    figures = figures_of(points_of(*curve), Interval.DAY)
    assert figures.max_drawdown == pytest.approx(-0.20)
    assert (figures.drawdown_from, figures.drawdown_to) == (START, START + DAY)


@pytest.mark.parametrize(("interval", "periods"), [(Interval.DAY, 365), (Interval.MINUTE, 525_600)])
def test_a_year_has_as_many_periods_as_bars_in_365_days(interval: Interval, periods: int) -> None:
    assert periods_per_year(interval) == periods


def test_return_is_annualised_over_365_days_and_not_for_less_than_30() -> None:
    year = [Point(START, Decimal(100), Stance.LONG), Point(START + 730 * DAY, Decimal(121), Stance.LONG)]

    assert figures_of(year, Interval.DAY).annualised_return == pytest.approx(0.10)
    assert figures_of(points_of(100, 101), Interval.DAY).annualised_return is None


def test_returns_end_where_a_curve_is_worth_nothing() -> None:
    assert list(returns_of([100.0, 50.0, -10.0, -10.0])) == pytest.approx([-0.5, -1.2])
