"""The paper exchange's matching: pure decisions, the same for the same data.

A market order fills whole at the last price plus (buy) or less (sell) half the spread. A limit order that is
marketable on arrival fills at that same price; a resting one fills at its limit once a later tick or candle
reaches it, or at the candle's open where the market opened beyond it. A stop becomes a limit order when the
last price reaches it; a candle that triggers a stop does not also fill it, because a candle does not tell
which of its prices came first.
"""

from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument
from alphapulse.domain.money import exact, quantise
from alphapulse.domain.orders import Side

_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class PaperTerms:
    """What trading on paper costs, in basis points (1 bp is 0.01 %) of price and notional."""

    half_spread_bps: Decimal = Decimal(1)
    fee_bps: Decimal = Decimal(10)


@dataclass(frozen=True, slots=True)
class PaperFill:
    """A fill on paper; the fee is in the quote currency."""

    quantity: Decimal
    price: Decimal
    fee: Decimal


def touch_price(side: Side, last_price: Decimal, *, instrument: Instrument, terms: PaperTerms) -> Decimal:
    """Return the price at which a market order executes: the ask for a buy, the bid for a sell.

    Rounded to the tick against the tenant, so that paper trading never flatters.
    """
    direction = 1 if side is Side.BUY else -1
    with exact():
        price = last_price * (1 + direction * terms.half_spread_bps / _BPS)
    # A price within one tick of zero must not round to nothing.
    return max(instrument.round_price_against(price, side), instrument.tick)


def market_fill(
    side: Side, quantity: Decimal, last_price: Decimal, *, instrument: Instrument, terms: PaperTerms
) -> PaperFill:
    """Fill a market order whole.

    Parameters
    ----------
    side : Side
        Of the order.
    quantity : Decimal
        Rounded to the lot.
    last_price : Decimal
        Positive, in the quote currency.
    instrument : Instrument
        Whose tick the price is rounded to.
    terms : PaperTerms
        Spread and fee.

    Returns
    -------
    PaperFill
        With the fee to 18 places, half to even.
    """
    price = touch_price(side, last_price, instrument=instrument, terms=terms)
    return _fill(quantity, price, terms)


def limit_fill_on_arrival(
    side: Side,
    quantity: Decimal,
    limit_price: Decimal,
    *,
    last_price: Decimal,
    instrument: Instrument,
    terms: PaperTerms,
) -> PaperFill | None:
    """Fill a limit order that can trade at once, at the touch, or return None if it has to rest."""
    touch = touch_price(side, last_price, instrument=instrument, terms=terms)
    marketable = touch <= limit_price if side is Side.BUY else touch >= limit_price
    return _fill(quantity, touch, terms) if marketable else None


def limit_fill_at_tick(
    side: Side, quantity: Decimal, limit_price: Decimal, *, last_price: Decimal, terms: PaperTerms
) -> PaperFill | None:
    """Fill a resting limit order at its limit if a later last price reaches it."""
    reached = last_price <= limit_price if side is Side.BUY else last_price >= limit_price
    return _fill(quantity, limit_price, terms) if reached else None


def limit_fill_in_candle(
    side: Side, quantity: Decimal, limit_price: Decimal, *, candle: Candle, terms: PaperTerms
) -> PaperFill | None:
    """Fill a resting limit order within a later candle, at its limit or at a better open."""
    if side is Side.BUY:
        reached, price = candle.low <= limit_price, min(limit_price, candle.open)
    else:
        reached, price = candle.high >= limit_price, max(limit_price, candle.open)
    return _fill(quantity, price, terms) if reached else None


def stop_triggered_at_tick(side: Side, stop_price: Decimal, *, last_price: Decimal) -> bool:
    """Tell whether a last price sets off a stop: a buy at or above it, a sell at or below it."""
    return last_price >= stop_price if side is Side.BUY else last_price <= stop_price


def stop_triggered_in_candle(side: Side, stop_price: Decimal, *, candle: Candle) -> bool:
    """Tell whether a candle sets off a stop; the limit order it becomes rests from the next candle on."""
    return candle.high >= stop_price if side is Side.BUY else candle.low <= stop_price


def _fill(quantity: Decimal, price: Decimal, terms: PaperTerms) -> PaperFill:
    with exact():
        fee = quantise(quantity * price * terms.fee_bps / _BPS)
    return PaperFill(quantity, price, fee)
