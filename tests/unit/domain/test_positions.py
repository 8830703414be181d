from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.instruments import default_instrument
from alphapulse.domain.orders import Side
from alphapulse.domain.positions import (
    Position,
    PositionError,
    SoldMoreThanHeld,
    UnknownFeeCurrency,
    apply_fill,
    dust,
    is_dust,
    market_value,
    unrealised_pnl,
)

FLAT = Position("BTC-USD", "paper")
#: Rounding of the average cost to 18 places, carried by at most 10,000 units over at most 30 fills.
TOLERANCE = Fraction(1, 10**12)

quantities = st.decimals(min_value=Decimal("0.00001"), max_value=Decimal(100), places=5)
prices = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(100_000), places=2)
fees = st.decimals(min_value=Decimal(0), max_value=Decimal(50), places=8)
shares = st.integers(min_value=1, max_value=100)


def bought(
    position: Position, quantity: str, price: str, fee: str = "0", currency: str | None = None
) -> Position:
    return apply_fill(
        position,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_currency=currency,
    )


def sold(
    position: Position, quantity: str, price: str, fee: str = "0", currency: str | None = None
) -> Position:
    return apply_fill(
        position,
        side=Side.SELL,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_currency=currency,
    )


def test_purchase_fee_is_part_of_the_average_cost() -> None:
    position = bought(FLAT, "2", "100", "1")

    assert position == Position("BTC-USD", "paper", Decimal(2), Decimal("100.5"), Decimal(0))


def test_second_purchase_moves_the_average_cost() -> None:
    position = bought(bought(FLAT, "1", "100"), "3", "200")

    assert (position.quantity, position.average_price) == (4, 175)


def test_partial_sale_realises_its_share_and_keeps_the_average_cost() -> None:
    position = sold(bought(FLAT, "2", "100", "0.2"), "1", "110", "0.11")

    assert position.quantity == 1
    assert position.average_price == Decimal("100.1")
    assert position.realised_pnl == Decimal("9.79")


def test_closing_sale_leaves_a_flat_position_with_its_profit() -> None:
    position = sold(bought(FLAT, "1", "100", "0.1"), "1", "90", "0.09")

    assert position.is_flat
    assert position.average_price == 0
    assert position.realised_pnl == Decimal("-10.19")


def test_sale_of_more_than_held_is_refused() -> None:
    with pytest.raises(SoldMoreThanHeld, match=r"cannot sell 1\.00001 BTC-USD, held 1"):
        sold(bought(FLAT, "1", "100"), "1.00001", "100")


def test_fee_in_the_base_currency_changes_the_quantity() -> None:
    position = bought(FLAT, "1", "100", "0.001", "BTC")

    assert position.quantity == Decimal("0.999")
    assert abs(position.average_price * position.quantity - 100) < Decimal("1e-15")
    assert sold(position, "0.998", "100", "0.001", "BTC").is_flat


def test_fee_in_a_third_currency_is_refused() -> None:
    with pytest.raises(UnknownFeeCurrency, match="must be in BTC or USD, was in BNB"):
        bought(FLAT, "1", "100", "0.01", "BNB")


def test_fee_that_takes_everything_bought_is_refused() -> None:
    with pytest.raises(PositionError, match="must be less than the quantity bought"):
        bought(FLAT, "1", "100", "1", "BTC")


@pytest.mark.parametrize(("quantity", "price"), [("0", "1"), ("-1", "1"), ("1", "0"), ("1", "-5")])
def test_fill_without_positive_quantity_and_price_is_refused(quantity: str, price: str) -> None:
    with pytest.raises(PositionError, match="must have positive quantity and price"):
        bought(FLAT, quantity, price)


def test_value_and_unrealised_profit_follow_the_price() -> None:
    position = bought(FLAT, "2", "100", "1")

    assert market_value(position, Decimal(110)) == 220
    assert unrealised_pnl(position, Decimal(110)) == 19


def test_what_is_below_a_lot_is_dust() -> None:
    instrument = default_instrument("BTC-USD")
    position = bought(FLAT, "1.000012345", "100")
    rest = sold(position, "1.00001", "100")

    assert dust(position, instrument) == Decimal("0.000002345")
    assert not is_dust(position, instrument)
    assert rest.quantity == dust(rest, instrument) == Decimal("0.000002345")
    assert is_dust(rest, instrument)
    assert not is_dust(FLAT, instrument)


class NaivePosition:
    """Average cost in exact fractions, with cash kept beside it."""

    def __init__(self) -> None:
        self.quantity = self.cost = self.realised = self.cash = Fraction(0)

    def buy(self, quantity: Decimal, price: Decimal, fee: Decimal) -> None:
        paid = Fraction(quantity) * Fraction(price) + Fraction(fee)
        self.quantity += Fraction(quantity)
        self.cost += paid
        self.cash -= paid

    def sell(self, quantity: Decimal, price: Decimal, fee: Decimal) -> None:
        received = Fraction(quantity) * Fraction(price) - Fraction(fee)
        share = self.cost * Fraction(quantity) / self.quantity
        self.quantity -= Fraction(quantity)
        self.cost -= share
        self.realised += received - share
        self.cash += received


@given(st.lists(st.tuples(st.booleans(), quantities, shares, prices, fees), max_size=30), prices)
def test_accounting_agrees_with_exact_fractions_and_with_cash(
    fills: list[tuple[bool, Decimal, int, Decimal, Decimal]], last_price: Decimal
) -> None:
    position, naive = FLAT, NaivePosition()
    for buys, quantity, percent, price, fee in fills:
        if buys:
            position = apply_fill(position, side=Side.BUY, quantity=quantity, price=price, fee=fee)
            naive.buy(quantity, price, fee)
        elif position.quantity:
            part = position.quantity * percent / 100
            position = apply_fill(position, side=Side.SELL, quantity=part, price=price, fee=fee)
            naive.sell(part, price, fee)

    assert Fraction(position.quantity) == naive.quantity
    assert abs(Fraction(position.quantity) * Fraction(position.average_price) - naive.cost) < TOLERANCE
    assert abs(Fraction(position.realised_pnl) - naive.realised) < TOLERANCE
    profit = Fraction(position.realised_pnl) + Fraction(unrealised_pnl(position, last_price))
    worth = naive.cash + naive.quantity * Fraction(last_price)
    assert abs(profit - worth) < TOLERANCE
