"""What was said is traded at the next open, to the last digit, with fees, and never inside a gap."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.backtest.account import Stance
from alphapulse.domain.backtest.figures import activity_of, figures_of
from alphapulse.domain.backtest.simulation import Simulation, buy_and_hold, simulate
from alphapulse.domain.backtest.terms import Terms
from alphapulse.domain.backtest.walk import Verdict
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.orders import Side
from alphapulse.domain.signals import Direction
from tests.unit.domain.backtest.markets import DAY, START, bars_of, random_bars

BUY, SELL, HOLD = (Verdict(direction) for direction in (Direction.BUY, Direction.SELL, Direction.HOLD))
ABSTAINED = Verdict(None, reason="no data")
FREE = Terms(starting_equity=Decimal(1000), fee_bps=Decimal(0), slippage_bps=Decimal(0))
DEAR = Terms(starting_equity=Decimal(1000), fee_bps=Decimal(100), slippage_bps=Decimal(100))


def traded(candles: Sequence[Candle], said: Sequence[Verdict], terms: Terms = FREE) -> Simulation:
    return simulate(candles, said, interval=Interval.DAY, terms=terms)


def equities(simulation: Simulation) -> list[Decimal]:
    return [point.equity for point in simulation.points]


def test_one_trade_computed_by_hand_agrees_to_the_last_digit() -> None:
    candles = bars_of([("100", "100"), ("100", "110"), ("120", "120"), ("90", "90")])

    course = traded(candles, [BUY, HOLD, SELL, HOLD], DEAR)

    # Bought at 101: 1000 / (101 x 1.01) = 9.80296049 (rounded down), fee 1 % of 990.09900949.
    # Sold at 89.1 for 873.443779659, fee 1 %.
    bought, sold = course.fills
    assert (bought.side, bought.quantity, bought.price) == (Side.BUY, Decimal("9.80296049"), Decimal(101))
    assert (bought.notional, bought.fee) == (Decimal("990.09900949"), Decimal("9.9009900949"))
    assert (sold.side, sold.price) == (Side.SELL, Decimal("89.1"))
    assert (sold.notional, sold.fee) == (Decimal("873.443779659"), Decimal("8.73443779659"))
    assert equities(course) == [
        Decimal(1000),
        Decimal("1078.3256543151"),
        Decimal("1176.3552592151"),
        Decimal("864.70934227751"),
    ]
    [trade] = course.trades
    assert trade.pnl == Decimal("-135.29065772249")
    assert trade.fees == Decimal("18.63542789149")
    assert course.slippage == Decimal("9.80296049") + Decimal("8.822664441")


def test_fees_are_all_that_is_lost_when_the_price_stands_still() -> None:
    candles = bars_of([("100", "100")] * 4)
    terms = Terms(starting_equity=Decimal(1001), fee_bps=Decimal(10), slippage_bps=Decimal(0))

    course = traded(candles, [BUY, SELL, HOLD, HOLD], terms)

    # 10 units for 1,000 and 1 fee; sold for 1,000 less 1 fee. Rounding down leaves the last place.
    assert course.fees == pytest.approx(Decimal(2), abs=Decimal("1e-6"))
    assert equities(course)[-1] == Decimal(1001) - course.fees
    assert course.trades[0].pnl == -course.fees


def test_constant_price_without_costs_moves_nothing_and_has_no_ratios() -> None:
    course = traded(bars_of([("50", "50")] * 30), [BUY, SELL] * 15)
    figures = figures_of(course.points, Interval.DAY)

    assert set(equities(course)) == {Decimal(1000)}
    assert (figures.total_return, figures.max_drawdown) == (0.0, 0.0)
    assert (figures.sharpe, figures.sortino, figures.volatility) == (None, None, None)
    assert figures.drawdown_from is None


def test_an_order_before_a_gap_is_filled_at_the_first_bar_after_it() -> None:
    candles = bars_of([("100", "100"), ("100", "100"), ("130", "140")], missing=frozenset({2, 3, 4}))

    course = traded(candles, [HOLD, BUY, HOLD])

    [fill] = course.fills
    assert (fill.at, fill.price) == (START + 5 * DAY, Decimal(130))
    assert course.late_fills == 1
    assert [point.at for point in course.points] == [START + n * DAY for n in (1, 2, 6)]


def test_holds_and_abstentions_leave_the_position_and_a_last_word_is_not_traded() -> None:
    candles = bars_of([("100", "100")] * 5)

    course = traded(candles, [BUY, HOLD, ABSTAINED, BUY, SELL])

    assert len(course.fills) == 1
    assert course.open_entry is course.fills[0]
    assert [point.stance for point in course.points] == [Stance.FLAT, *[Stance.LONG] * 4]


def test_a_sell_opens_a_short_position_only_where_the_terms_allow_it() -> None:
    candles = bars_of([("100", "100"), ("100", "80"), ("50", "50")])
    short = Terms(Decimal(1000), Decimal("0.5"), Decimal(0), Decimal(0), short=True)

    assert equities(traded(candles, [SELL] * 3)) == [Decimal(1000)] * 3
    # 5 sold short at 100, worth 80 and then 50 less: 5 x 20 and 5 x 50 gained; the last 2e-18 of the
    # budget are kept back, which rounding down turns into one unit of the eighth place.
    course = traded(candles, [SELL] * 3, short)
    assert [float(equity) for equity in equities(course)] == pytest.approx([1000, 1100, 1250], abs=1e-5)
    assert course.points[-1].stance is Stance.SHORT


def test_a_turn_from_short_to_long_closes_one_trade_and_opens_another() -> None:
    candles = bars_of([("100", "100")] * 4)
    short = Terms(Decimal(1000), Decimal("0.5"), Decimal(0), Decimal(0), short=True)

    course = traded(candles, [SELL, BUY, HOLD, HOLD], short)

    assert [fill.side for fill in course.fills] == [Side.SELL, Side.BUY, Side.BUY]
    assert [trade.stance for trade in course.trades] == [Stance.SHORT]
    assert course.points[-1].stance is Stance.LONG


def test_an_account_that_is_worth_nothing_stops_trading() -> None:
    candles = bars_of(
        [("100", "100"), ("100", "100"), ("100", "250"), ("250", "250"), ("10", "10"), ("1", "1")]
    )
    short = Terms(Decimal(1000), Decimal(1), Decimal(0), Decimal(0), short=True)

    course = traded(candles, [SELL] * 6, short)

    assert course.ruined_at == START + 3 * DAY
    assert len(course.fills) == 2
    assert equities(course)[-1] == equities(course)[3] < 0
    assert figures_of(course.points, Interval.DAY).annualised_return is None


def test_buy_and_hold_buys_at_the_second_open_and_pays_as_the_agent_does() -> None:
    candles = random_bars(20, seed=1)

    held = buy_and_hold(candles, interval=Interval.DAY, terms=DEAR)

    assert [fill.at for fill in held.fills] == [candles[1].open_time]
    assert held.fills[0].price == candles[1].open * Decimal("1.01")


directions = st.lists(st.sampled_from([BUY, SELL, HOLD, ABSTAINED]), min_size=40, max_size=40)


@given(said=directions, seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_equity_equals_a_vectorised_recomputation(said: list[Verdict], seed: int) -> None:
    candles = random_bars(40, seed, missing=frozenset({7, 8, 20}))
    terms = Terms(fee_bps=Decimal(25), slippage_bps=Decimal(5))

    course = traded(candles, said, terms)

    assert [float(equity) for equity in equities(course)] == pytest.approx(
        vectorised(candles, said, terms), rel=1e-8
    )


@given(said=directions, seed=st.integers(0, 1000), short=st.booleans())
@settings(max_examples=40, deadline=None)
def test_money_is_neither_made_nor_lost_in_the_books(said: list[Verdict], seed: int, short: bool) -> None:
    candles = random_bars(40, seed)
    terms = Terms(position_fraction=Decimal("0.4"), short=short)

    course = traded(candles, said, terms)

    open_pnl = Decimal(0)
    if (entry := course.open_entry) is not None:
        moved = entry.quantity * candles[-1].close - entry.notional
        open_pnl = (moved if entry.side is Side.BUY else -moved) - entry.fee
    profit = sum((trade.pnl for trade in course.trades), Decimal(0)) + open_pnl
    assert course.points[-1].equity == Decimal(10_000) + profit
    assert course.fees == sum((fill.fee for fill in course.fills), Decimal(0))
    assert activity_of(course).fills == len(course.fills)


def vectorised(candles: Sequence[Candle], said: Sequence[Verdict], terms: Terms) -> list[float]:
    """Whole equity, long or flat, as a product of growth factors; shares no code with the simulation."""
    opens = np.array([float(candle.open) for candle in candles])
    closes = np.array([float(candle.close) for candle in candles])
    words = np.array([{Direction.BUY: 1.0, Direction.SELL: 0.0}.get(v.direction, np.nan) for v in said])  # type: ignore[arg-type,call-overload]
    known = np.concatenate([[0.0], words])[
        :-1
    ]  # what is in force at a bar's open was said at the close before
    places = np.maximum.accumulate(np.where(np.isnan(known), 0, np.arange(len(known))))
    held = known[places]
    before = np.concatenate([[0.0], held[:-1]])
    fee, slip = float(terms.fee_bps) / 1e4, float(terms.slippage_bps) / 1e4
    previous = np.concatenate([[closes[0]], closes[:-1]])
    stayed = np.where(held > 0, closes / previous, 1.0)
    entered = closes / opens / ((1 + slip) * (1 + fee))
    left = opens / previous * (1 - slip) * (1 - fee)
    growth = np.where(held > before, entered, np.where(held < before, left, stayed))
    curve: list[float] = (float(terms.starting_equity) * np.cumprod(growth)).tolist()
    return curve
