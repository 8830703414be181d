from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.instruments import (
    Instrument,
    Interval,
    InvalidInterval,
    InvalidSymbol,
    Symbol,
    default_instrument,
)
from alphapulse.domain.orders import Side

BTC_USD = Instrument("BTC-USD", lot=Decimal("0.00001"), tick=Decimal("0.01"), min_notional=Decimal(1))
prices = st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(10) ** 9, places=10, allow_nan=False)


@pytest.mark.parametrize("text", ["BTC-USDT", "1INCH-USD", "AB-" + "Q" * 15])
def test_symbol_survives_parsing(text: str) -> None:
    assert str(Symbol.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "BTC", "btc-usd", "B-USD", "BTC-U", "BTC/USD", "BTC-USD-X", "BTC-USD\n", "A" * 16 + "-USD"]
)
def test_text_that_is_no_symbol_is_refused(text: str) -> None:
    with pytest.raises(InvalidSymbol, match="must look like BTC-USDT"):
        Symbol.parse(text)


def test_instrument_knows_base_and_quote() -> None:
    assert (BTC_USD.base, BTC_USD.quote) == ("BTC", "USD")


def test_quantity_is_rounded_down_to_the_lot() -> None:
    assert BTC_USD.round_quantity(Decimal("0.123459999")) == Decimal("0.12345")


def test_limit_price_is_rounded_in_the_tenants_favour() -> None:
    assert BTC_USD.round_price(Decimal("100.019"), Side.BUY) == Decimal("100.01")
    assert BTC_USD.round_price(Decimal("100.011"), Side.SELL) == Decimal("100.02")


@given(prices, st.sampled_from(Side))
def test_rounded_price_is_a_multiple_of_the_tick_never_worse_than_asked(price: Decimal, side: Side) -> None:
    rounded = BTC_USD.round_price(price, side)

    assert rounded % BTC_USD.tick == 0
    assert abs(rounded - price) < BTC_USD.tick
    assert rounded <= price if side is Side.BUY else rounded >= price


@given(prices, st.sampled_from(Side))
def test_execution_price_is_rounded_against_the_tenant(price: Decimal, side: Side) -> None:
    rounded = BTC_USD.round_price_against(price, side)

    assert rounded >= price if side is Side.BUY else rounded <= price


@given(prices)
def test_rounded_quantity_is_never_more_than_asked(quantity: Decimal) -> None:
    rounded = BTC_USD.round_quantity(quantity)

    assert quantity - BTC_USD.lot < rounded <= quantity
    assert rounded % BTC_USD.lot == 0


def test_min_notional_is_met_at_the_bound() -> None:
    assert BTC_USD.meets_min_notional(quantity=Decimal("0.01"), price=Decimal(100))
    assert not BTC_USD.meets_min_notional(quantity=Decimal("0.01"), price=Decimal("99.99"))


@pytest.mark.parametrize(
    ("symbol", "lot", "tick", "min_notional"),
    [
        ("BTC-USDT", "0.00001", "0.01", "1"),
        ("ETH-USD", "0.0001", "0.01", "1"),
        ("DOGE-USDC", "0.01", "0.00001", "1"),
        ("ETH-BTC", "0.0001", "0.00000001", "0.00001"),
        ("BTC-PERP", "0.0001", "0.00000001", "0.00001"),
    ],
)
def test_default_rules_follow_the_documented_table(
    symbol: str, lot: str, tick: str, min_notional: str
) -> None:
    expected = Instrument(symbol, Decimal(lot), Decimal(tick), Decimal(min_notional))

    assert default_instrument(symbol) == expected


def test_default_rules_of_no_symbol_are_refused() -> None:
    with pytest.raises(InvalidSymbol):
        default_instrument("nonsense")


def test_intervals_know_their_length() -> None:
    assert {str(interval): interval.seconds for interval in Interval} == {
        "1m": 60,
        "5m": 300,
        "15m": 900,
        "1h": 3600,
        "4h": 14400,
        "1d": 86400,
    }


def test_unknown_interval_is_refused_naming_those_there_are() -> None:
    with pytest.raises(InvalidInterval, match="1m, 5m, 15m, 1h, 4h, 1d, was '2h'"):
        Interval.parse("2h")


def test_bar_of_a_moment_opens_at_the_whole_interval_before() -> None:
    moment = datetime(2026, 3, 5, 13, 47, 31, tzinfo=UTC)

    assert Interval.FOUR_HOURS.open_of(moment) == datetime(2026, 3, 5, 12, tzinfo=UTC)
    assert Interval.DAY.open_of(moment) == datetime(2026, 3, 5, tzinfo=UTC)
