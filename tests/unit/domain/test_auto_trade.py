"""What a consensus is turned into; every expected quantity is worked out beside it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.auto_trade import AutoTradeTerms, NoOrder, OrderIntent, SymbolHolding, pause, size
from alphapulse.domain.instruments import Instrument
from alphapulse.domain.orders import Side
from alphapulse.domain.signals import Direction

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
BTC = Instrument("BTC-USDT", lot=Decimal("0.001"), tick=Decimal("0.01"), min_notional=Decimal(10))
TERMS = AutoTradeTerms(
    min_score=Decimal("0.3"), position_pct=Decimal(10), cooldown=timedelta(hours=1), max_orders_per_day=3
)


def sized(
    direction: Direction = Direction.BUY,
    score: str = "0.5",
    *,
    holding: SymbolHolding | None = None,
    equity: str | None = "100000",
    price: str = "30000",
) -> OrderIntent | NoOrder:
    return size(
        direction,
        Decimal(score),
        TERMS,
        holding=holding or SymbolHolding(),
        equity=None if equity is None else Decimal(equity),
        price=Decimal(price),
        instrument=BTC,
    )


def test_buy_fills_the_position_up_to_its_share_and_rounds_down_to_the_lot() -> None:
    # 100,000 * 10 % * 0.5 = 5,000; / 30,000 = 0.16666..., in lots of 0.001: 0.166.
    assert sized() == OrderIntent(Side.BUY, Decimal("0.166"))
    # 0.1 BTC are 3,000 already, 0.02 more are being bought: 5,000 - 3,600 = 1,400 -> 0.046.
    part = SymbolHolding(quantity=Decimal("0.1"), being_bought=Decimal("0.02"))
    assert sized(holding=part) == OrderIntent(Side.BUY, Decimal("0.046"))


def test_sells_on_their_way_that_are_counted_twice_make_no_buy_larger() -> None:
    # All is being sold, and counted twice for a moment: what is missing is the whole target, and no more.
    twice = SymbolHolding(quantity=Decimal("0.1"), being_sold=Decimal("0.2"))

    assert sized(holding=twice) == OrderIntent(Side.BUY, Decimal("0.166"))


def test_sell_closes_what_is_not_being_sold_already() -> None:
    holding = SymbolHolding(quantity=Decimal("0.2505"), being_sold=Decimal("0.05"))

    assert sized(Direction.SELL, "-0.9", holding=holding) == OrderIntent(Side.SELL, Decimal("0.200"))


def test_sell_needs_no_equity_because_it_lessens_risk() -> None:
    holding = SymbolHolding(quantity=Decimal(1))

    assert sized(Direction.SELL, "-0.5", holding=holding, equity=None) == OrderIntent(Side.SELL, Decimal(1))


@pytest.mark.parametrize(
    ("direction", "score", "more", "code"),
    [
        (Direction.HOLD, "0.9", {}, "hold"),
        (Direction.BUY, "0.29", {}, "score_too_low"),
        (Direction.SELL, "-0.29", {}, "score_too_low"),
        (Direction.BUY, "0.5", {"equity": None}, "equity_unknown"),
        (Direction.BUY, "0.5", {"equity": "-5"}, "at_target"),
        (Direction.BUY, "0.5", {"equity": "100"}, "at_target"),  # 5 USDT are below the 10 of an order
        (Direction.BUY, "0.5", {"holding": SymbolHolding(quantity=Decimal(1))}, "at_target"),
        (Direction.SELL, "-0.5", {}, "nothing_to_sell"),
        (Direction.SELL, "-0.5", {"holding": SymbolHolding(quantity=Decimal("0.0009"))}, "nothing_to_sell"),
    ],
)
def test_no_order_says_why(direction: Direction, score: str, more: dict[str, object], code: str) -> None:
    decided = sized(direction, score, **more)

    assert isinstance(decided, NoOrder)
    assert decided.code == code
    assert decided.reason


@given(
    score=st.decimals("0.3", "1", places=6),
    equity=st.decimals("0", "1e12", places=2),
    price=st.decimals("0.01", "1e9", places=2),
    held=st.decimals("0", "1e6", places=3),
)
def test_buy_never_passes_the_share_of_equity(
    score: Decimal, equity: Decimal, price: Decimal, held: Decimal
) -> None:
    decided = size(
        Direction.BUY,
        score,
        TERMS,
        holding=SymbolHolding(quantity=held),
        equity=equity,
        price=price,
        instrument=BTC,
    )

    if isinstance(decided, OrderIntent):
        assert (held + decided.quantity) * price <= equity * TERMS.position_pct / 100 * score
        assert decided.quantity % BTC.lot == 0
        assert decided.quantity * price >= BTC.min_notional


def test_cooldown_and_orders_of_the_day_hold_an_order_back() -> None:
    assert pause(TERMS, last_order_at=None, orders_today=2, now=NOW) is None
    assert pause(TERMS, last_order_at=NOW - timedelta(hours=1), orders_today=2, now=NOW) is None
    soon = pause(TERMS, last_order_at=NOW - timedelta(minutes=59), orders_today=2, now=NOW)
    assert soon is not None
    assert (soon.code, soon.reason[-25:]) == ("cooldown", "2026-05-04T12:01:00+00:00")
    many = pause(TERMS, last_order_at=None, orders_today=3, now=NOW)
    assert many is not None
    assert many.code == "orders_per_day"
