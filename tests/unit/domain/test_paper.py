from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, default_instrument
from alphapulse.domain.orders import Side
from alphapulse.domain.paper import (
    PaperFill,
    PaperTerms,
    limit_fill_at_tick,
    limit_fill_in_candle,
    limit_fill_on_arrival,
    market_fill,
    stop_triggered_at_tick,
    stop_triggered_in_candle,
    touch_price,
)

BTC_USD = default_instrument("BTC-USD")
TERMS = PaperTerms(half_spread_bps=Decimal(2), fee_bps=Decimal(10))
ONE = Decimal(1)
prices = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(100_000), places=2)


def candle(opened: int, high: int, low: int, close: int) -> Candle:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Candle(at, Decimal(opened), Decimal(high), Decimal(low), Decimal(close), ONE)


def test_market_orders_pay_half_the_spread_and_the_fee() -> None:
    bought = market_fill(Side.BUY, Decimal(2), Decimal(10_000), instrument=BTC_USD, terms=TERMS)
    sold = market_fill(Side.SELL, Decimal(2), Decimal(10_000), instrument=BTC_USD, terms=TERMS)

    assert bought == PaperFill(Decimal(2), Decimal(10_002), Decimal("20.004"))
    assert sold == PaperFill(Decimal(2), Decimal(9_998), Decimal("19.996"))


def test_fee_is_ten_basis_points_unless_said_otherwise() -> None:
    assert PaperTerms().fee_bps == 10


@given(prices, st.sampled_from(Side))
def test_touch_is_on_the_tick_and_never_better_than_the_last_price(price: Decimal, side: Side) -> None:
    touch = touch_price(side, price, instrument=BTC_USD, terms=TERMS)

    assert touch % BTC_USD.tick == 0
    assert touch > 0
    assert touch >= price if side is Side.BUY else touch <= price


def test_price_near_zero_does_not_round_to_nothing() -> None:
    coarse = Instrument("AB-USD", lot=ONE, tick=ONE, min_notional=ONE)

    assert touch_price(Side.SELL, ONE, instrument=coarse, terms=TERMS) == 1


def test_marketable_limit_order_fills_at_the_touch_not_at_its_limit() -> None:
    fill = limit_fill_on_arrival(
        Side.BUY, ONE, Decimal(11_000), last_price=Decimal(10_000), instrument=BTC_USD, terms=TERMS
    )

    assert fill is not None
    assert fill.price == 10_002


def test_limit_order_inside_the_spread_rests() -> None:
    for side, price in ((Side.BUY, 10_001), (Side.SELL, 9_999)):
        fill = limit_fill_on_arrival(
            side, ONE, Decimal(price), last_price=Decimal(10_000), instrument=BTC_USD, terms=TERMS
        )
        assert fill is None


def test_resting_order_fills_at_its_limit_when_the_last_price_reaches_it() -> None:
    def at(side: Side, last: int) -> PaperFill | None:
        return limit_fill_at_tick(side, ONE, Decimal(100), last_price=Decimal(last), terms=TERMS)

    filled = PaperFill(ONE, Decimal(100), Decimal("0.1"))
    assert [at(Side.BUY, last) for last in (101, 100, 99)] == [None, filled, filled]
    assert [at(Side.SELL, last) for last in (99, 100, 101)] == [None, filled, filled]


def test_resting_buy_fills_in_a_candle_whose_low_reaches_it() -> None:
    def price_in(bar: Candle) -> Decimal | None:
        fill = limit_fill_in_candle(Side.BUY, ONE, Decimal(100), candle=bar, terms=TERMS)
        return fill and fill.price

    assert price_in(candle(105, 110, 101, 102)) is None
    assert price_in(candle(105, 110, 100, 102)) == 100
    assert price_in(candle(95, 110, 90, 102)) == 95


def test_resting_sell_fills_in_a_candle_whose_high_reaches_it() -> None:
    def price_in(bar: Candle) -> Decimal | None:
        fill = limit_fill_in_candle(Side.SELL, ONE, Decimal(100), candle=bar, terms=TERMS)
        return fill and fill.price

    assert price_in(candle(95, 99, 90, 92)) is None
    assert price_in(candle(95, 100, 90, 92)) == 100
    assert price_in(candle(105, 110, 90, 92)) == 105


def test_stops_are_set_off_by_the_price_moving_against_them() -> None:
    assert [stop_triggered_at_tick(Side.BUY, Decimal(100), last_price=Decimal(p)) for p in (99, 100)] == [
        False,
        True,
    ]
    assert [stop_triggered_at_tick(Side.SELL, Decimal(100), last_price=Decimal(p)) for p in (101, 100)] == [
        False,
        True,
    ]
    assert stop_triggered_in_candle(Side.BUY, Decimal(100), candle=candle(95, 100, 90, 92))
    assert not stop_triggered_in_candle(Side.BUY, Decimal(100), candle=candle(95, 99, 90, 92))
    assert stop_triggered_in_candle(Side.SELL, Decimal(100), candle=candle(105, 110, 100, 101))
    assert not stop_triggered_in_candle(Side.SELL, Decimal(100), candle=candle(105, 110, 101, 102))


@given(prices, prices, prices, prices, prices, st.sampled_from(Side))
def test_candle_never_fills_a_limit_order_worse_than_its_limit_or_outside_the_candle(
    first: Decimal, second: Decimal, third: Decimal, fourth: Decimal, limit: Decimal, side: Side
) -> None:
    low, opened, close, high = sorted((first, second, third, fourth))
    bar = Candle(datetime(2026, 1, 1, tzinfo=UTC), opened, high, low, close, ONE)

    fill = limit_fill_in_candle(side, ONE, limit, candle=bar, terms=TERMS)

    if fill is not None:
        assert bar.low <= fill.price <= bar.high
        assert fill.price <= limit if side is Side.BUY else fill.price >= limit
