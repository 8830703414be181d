"""The simulated account: cash, one position, its fills and trades. Every amount is a Decimal.

Quantities are rounded down to 8 places, amounts half to even to 18. Cash never goes below zero for a long
position: its size is what the cash buys with the fee. A short position's proceeds stay in cash; borrowing
costs nothing here.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from enum import IntEnum
from typing import Final

from alphapulse.domain.backtest.terms import Terms
from alphapulse.domain.money import ZERO, exact, quantise
from alphapulse.domain.orders import Side

QUANTITY_PLACES: Final = 8

_ONE: Final = Decimal(1)
_BPS: Final = Decimal(10_000)
# Notional and fee are each rounded by at most half of the last place that is kept.
_ROUNDING: Final = Decimal("2E-18")


class Stance(IntEnum):
    """Which way a position faces."""

    SHORT = -1
    FLAT = 0
    LONG = 1


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    Attributes
    ----------
    at : datetime
        Open of the bar.
    side : Side
        Bought or sold.
    quantity, price, notional, fee : Decimal
        The price is the open made worse by the slippage; notional is quantity times price.
    slippage : Decimal
        What the worse price cost.
    """

    at: datetime
    side: Side
    quantity: Decimal
    price: Decimal
    notional: Decimal
    fee: Decimal
    slippage: Decimal


@dataclass(frozen=True, slots=True)
class Trade:
    """A position from its opening to its closing.

    Attributes
    ----------
    stance : Stance
        Long or short.
    entry, exit : Fill
        The first and the last.
    fees, pnl : Decimal
        Of both fills; the profit is after fees.
    """

    stance: Stance
    entry: Fill
    exit: Fill
    fees: Decimal
    pnl: Decimal

    @property
    def profit_share(self) -> float:
        """Profit as a share of what the entry was worth."""
        return float(self.pnl / self.entry.notional)


class Account:
    """Cash and one position, changed by fills alone.

    Attributes
    ----------
    cash, quantity, fees, slippage, traded : Decimal
        The quantity is negative when short; `traded` is the notional of all fills.
    fills, trades : list
        In order of time.
    entry : Fill or None
        Of the position that is open.
    """

    def __init__(self, terms: Terms) -> None:
        self.cash = terms.starting_equity
        self.quantity = ZERO
        self.fees = ZERO
        self.slippage = ZERO
        self.traded = ZERO
        self.fills: list[Fill] = []
        self.trades: list[Trade] = []
        self.entry: Fill | None = None
        self._fraction = terms.position_fraction
        self._fee = terms.fee_bps / _BPS
        self._slip = terms.slippage_bps / _BPS

    @property
    def stance(self) -> Stance:
        """Which way the position faces."""
        return Stance((self.quantity > 0) - (self.quantity < 0))

    def equity(self, price: Decimal) -> Decimal:
        """Return what cash and position are worth at a price."""
        return self.cash + self.quantity * price

    def turn(self, stance: Stance, at: datetime, open_price: Decimal) -> None:
        """Take a stance at a bar's open; nothing happens when it is taken already."""
        if stance is self.stance:
            return
        with exact():
            if self.quantity:
                self._close(at, open_price)
            if stance is not Stance.FLAT:
                self._open(stance, at, open_price)

    def _open(self, stance: Stance, at: datetime, open_price: Decimal) -> None:
        side = Side.BUY if stance is Stance.LONG else Side.SELL
        price = self._price(side, open_price)
        budget = self.cash * self._fraction - _ROUNDING
        unit = price * (_ONE + self._fee) if stance is Stance.LONG else price
        if budget <= 0:
            return
        quantity = quantise(budget / unit, places=QUANTITY_PLACES, rounding=ROUND_DOWN)
        if quantity > 0:
            self.entry = self._fill(side, quantity, price, at, open_price)

    def _close(self, at: datetime, open_price: Decimal) -> None:
        entry, stance = self.entry, self.stance
        side = Side.SELL if stance is Stance.LONG else Side.BUY
        fill = self._fill(side, abs(self.quantity), self._price(side, open_price), at, open_price)
        if entry is None:
            raise RuntimeError("a position is open without an entry")
        fees = entry.fee + fill.fee
        pnl = (fill.notional - entry.notional) * int(stance) - fees
        self.trades.append(Trade(stance, entry, fill, fees, pnl))
        self.entry = None

    def _price(self, side: Side, open_price: Decimal) -> Decimal:
        slip = self._slip if side is Side.BUY else -self._slip
        return quantise(open_price * (_ONE + slip))

    def _fill(self, side: Side, quantity: Decimal, price: Decimal, at: datetime, open_price: Decimal) -> Fill:
        notional = quantise(quantity * price)
        fill = Fill(
            at=at,
            side=side,
            quantity=quantity,
            price=price,
            notional=notional,
            fee=quantise(notional * self._fee),
            slippage=quantise(quantity * abs(price - open_price)),
        )
        bought = side is Side.BUY
        self.quantity += quantity if bought else -quantity
        self.cash += (-notional if bought else notional) - fill.fee
        self.fees += fill.fee
        self.slippage += fill.slippage
        self.traded += notional
        self.fills.append(fill)
        return fill
