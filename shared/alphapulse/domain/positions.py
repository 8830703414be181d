"""Positions by average cost, for spot: what is held, what it cost, what selling it earned."""

from dataclasses import dataclass, replace
from decimal import Decimal

from alphapulse.domain.instruments import Instrument
from alphapulse.domain.money import ZERO, decimal_text, exact, quantise
from alphapulse.domain.orders import Side


class PositionError(ValueError):
    """Root of what a fill can do wrong to a position."""


class SoldMoreThanHeld(PositionError):
    """A sell exceeds the quantity held; spot has no short positions."""


class UnknownFeeCurrency(PositionError):
    """A fee is in neither currency of the symbol and must be converted by whoever knows a rate."""


@dataclass(frozen=True, slots=True)
class Position:
    """What one tenant holds of one symbol on one exchange.

    Attributes
    ----------
    symbol, exchange : str
        Where it is held.
    quantity : Decimal
        Of the base currency, never negative.
    average_price : Decimal
        Average cost of one unit in the quote currency, **purchase fees included**; zero when flat.
    realised_pnl : Decimal
        In the quote currency, net of the fees of the sells and of the purchase fees of what was sold.
    """

    symbol: str
    exchange: str
    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    realised_pnl: Decimal = ZERO

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held."""
        return not self.quantity


def apply_fill(
    position: Position,
    *,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    fee: Decimal = ZERO,
    fee_currency: str | None = None,
) -> Position:
    """Return the position after one fill.

    A buy adds ``quantity * price + fee`` to the cost; a sell takes its share of the cost and realises
    ``quantity * price - fee`` less that share. The average cost is kept to 18 places, half to even.

    Parameters
    ----------
    position : Position
        Before the fill.
    side : Side
        Of the fill.
    quantity, price : Decimal
        Positive, in base and quote currency.
    fee : Decimal
        What the venue took; negative for a rebate.
    fee_currency : str, optional
        Quote currency if not given. A fee in the base currency changes the quantity that is held instead of
        the cost: a buy brings less, a sell takes more.

    Raises
    ------
    SoldMoreThanHeld
        When a sell exceeds what is held.
    UnknownFeeCurrency
        When the fee is in a third currency.
    PositionError
        When quantity or price is not positive, or a base fee exceeds the quantity bought.
    """
    if quantity <= 0 or price <= 0:
        raise PositionError(
            "a fill must have positive quantity and price, "
            f"had {decimal_text(quantity)} at {decimal_text(price)}"
        )
    base, _, quote = position.symbol.partition("-")
    if fee_currency not in {None, base, quote}:
        raise UnknownFeeCurrency(
            f"a fee of {position.symbol} must be in {base} or {quote}, was in {fee_currency}"
        )
    base_fee, quote_fee = (fee, ZERO) if fee_currency == base else (ZERO, fee)
    with exact():
        if side is Side.BUY:
            return _bought(position, moved=quantity - base_fee, cost=quantity * price + quote_fee)
        return _sold(position, moved=quantity + base_fee, proceeds=quantity * price - quote_fee)


def market_value(position: Position, price: Decimal) -> Decimal:
    """Return what the position is worth at a price, in the quote currency."""
    with exact():
        return quantise(position.quantity * price)


def unrealised_pnl(position: Position, price: Decimal) -> Decimal:
    """Return market value less average cost, purchase fees included, in the quote currency."""
    with exact():
        return quantise(position.quantity * (price - position.average_price))


def dust(position: Position, instrument: Instrument) -> Decimal:
    """Return the part of the quantity below one lot, which no order can sell."""
    with exact():
        return position.quantity - instrument.round_quantity(position.quantity)


def is_dust(position: Position, instrument: Instrument) -> bool:
    """Tell whether all that is held is less than one lot."""
    return ZERO < position.quantity < instrument.lot


def _bought(position: Position, *, moved: Decimal, cost: Decimal) -> Position:
    if moved <= 0:
        raise PositionError(f"the fee must be less than the quantity bought, left {decimal_text(moved)}")
    quantity = position.quantity + moved
    average = (position.quantity * position.average_price + cost) / quantity
    return replace(position, quantity=quantity, average_price=quantise(average))


def _sold(position: Position, *, moved: Decimal, proceeds: Decimal) -> Position:
    if moved > position.quantity:
        raise SoldMoreThanHeld(
            f"cannot sell {decimal_text(moved)} {position.symbol}, held {decimal_text(position.quantity)}"
        )
    quantity = position.quantity - moved
    realised = position.realised_pnl + proceeds - moved * position.average_price
    average = position.average_price if quantity else ZERO
    return replace(position, quantity=quantity, average_price=average, realised_pnl=quantise(realised))
