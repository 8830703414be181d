"""What a consensus is turned into when a tenant lets it trade: an order, or a reason for none.

Long only: a buy brings the position up to a share of equity that grows with the score, a sell closes it.
Whatever is not known is a reason for no order. The order that comes out still has to pass every check of
any other order.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from alphapulse.domain.instruments import Instrument
from alphapulse.domain.money import ZERO, decimal_text, exact
from alphapulse.domain.orders import Side
from alphapulse.domain.signals import Direction

#: Bounds of what a tenant may set.
MIN_SCORE_BOUNDS: Final = (Decimal("0.2"), Decimal(1))
POSITION_PCT_BOUNDS: Final = (Decimal("0.1"), Decimal(100))
COOLDOWN_SECONDS_BOUNDS: Final = (0, 604_800)
ORDERS_PER_DAY_BOUNDS: Final = (1, 1_000)
#: How long after its consensus an order may still be placed.
ORDER_LIFETIME: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoTradeTerms:
    """What a tenant allows.

    Attributes
    ----------
    min_score : Decimal
        The score, whatever its sign, from which on a consensus is traded; 0.2 to 1.
    position_pct : Decimal
        Share of equity a position may take at a score of 1, in percent.
    cooldown : timedelta
        Between two orders in one symbol.
    max_orders_per_day : int
        In all symbols together, per UTC day.
    """

    min_score: Decimal = Decimal("0.3")
    position_pct: Decimal = Decimal(5)
    cooldown: timedelta = timedelta(hours=1)
    max_orders_per_day: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolHolding:
    """What is held of a symbol, and what its open orders may still add or take."""

    quantity: Decimal = ZERO
    being_bought: Decimal = ZERO
    being_sold: Decimal = ZERO

    @property
    def left(self) -> Decimal:
        """What is held and not being sold; never less than nothing, should a sell be counted twice."""
        return max(self.quantity - self.being_sold, ZERO)

    def with_orders(self, *, being_bought: Decimal, being_sold: Decimal) -> "SymbolHolding":
        """Return the holding with further orders counted."""
        return SymbolHolding(
            quantity=self.quantity,
            being_bought=self.being_bought + being_bought,
            being_sold=self.being_sold + being_sold,
        )


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """An order to ask for: whole lots, above the smallest notional."""

    side: Side
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class NoOrder:
    """Why there is none: a stable code, and a sentence for people."""

    code: str
    reason: str


def pause(
    terms: AutoTradeTerms, *, last_order_at: datetime | None, orders_today: int, now: datetime
) -> NoOrder | None:
    """Return why no order may follow the ones before it, or None if one may.

    Parameters
    ----------
    terms : AutoTradeTerms
        The tenant's.
    last_order_at : datetime or None
        When the last automatic order in the symbol was asked for.
    orders_today : int
        Automatic orders since midnight UTC.
    now : datetime
        Aware, UTC.
    """
    if orders_today >= terms.max_orders_per_day:
        return NoOrder(
            "orders_per_day", f"there were {orders_today} automatic orders today, the most allowed"
        )
    if last_order_at is not None and now - last_order_at < terms.cooldown:
        ends = (last_order_at + terms.cooldown).isoformat(timespec="seconds")
        return NoOrder("cooldown", f"the cooldown after the last automatic order ends at {ends}")
    return None


def size(
    direction: Direction,
    score: Decimal,
    terms: AutoTradeTerms,
    *,
    holding: SymbolHolding,
    equity: Decimal | None,
    price: Decimal,
    instrument: Instrument,
) -> OrderIntent | NoOrder:
    """Turn a consensus into an order.

    Parameters
    ----------
    direction : Direction
        Of the consensus, which had its quorum.
    score : Decimal
        In [-1, 1].
    terms : AutoTradeTerms
        The tenant's.
    holding : SymbolHolding
        Of the symbol.
    equity : Decimal or None
        In the quote currency; None when it cannot be told, and then nothing is bought.
    price : Decimal
        The last one, in the quote currency.
    instrument : Instrument
        Lot and smallest notional.

    Returns
    -------
    OrderIntent or NoOrder
        A buy of what is missing to ``equity * position_pct * |score|``, open orders counted; a sell of all
        that is held and not being sold already. Quantities are rounded down to the lot.
    """
    if direction is Direction.HOLD:
        return NoOrder("hold", "the consensus is to hold")
    if abs(score) < terms.min_score:
        return NoOrder(
            "score_too_low", f"the score {score} is below the {decimal_text(terms.min_score)} that is traded"
        )
    if direction is Direction.SELL:
        return _closing(holding, price=price, instrument=instrument)
    if equity is None:
        return NoOrder("equity_unknown", "the account cannot be valued at this moment")
    with exact():
        target = max(equity, ZERO) * terms.position_pct / 100 * min(abs(score), Decimal(1))
        present = (holding.left + holding.being_bought) * price
        wanted = instrument.round_quantity(max(target - present, ZERO) / price)
    if not _is_worth_it(wanted, price=price, instrument=instrument):
        return NoOrder(
            "at_target", f"the position is worth {present:.2f}, the target at this score is {target:.2f}"
        )
    return OrderIntent(Side.BUY, wanted)


def _closing(holding: SymbolHolding, *, price: Decimal, instrument: Instrument) -> OrderIntent | NoOrder:
    left = instrument.round_quantity(holding.left)
    if not _is_worth_it(left, price=price, instrument=instrument):
        return NoOrder("nothing_to_sell", "nothing is held that could be sold")
    return OrderIntent(Side.SELL, left)


def _is_worth_it(quantity: Decimal, *, price: Decimal, instrument: Instrument) -> bool:
    with exact():
        return quantity > 0 and instrument.meets_min_notional(quantity=quantity, price=price)
