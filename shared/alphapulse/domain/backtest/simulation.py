"""An account led by what an agent said: traded at the next open, valued at each close."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from alphapulse.domain.backtest.account import Account, Fill, Stance, Trade
from alphapulse.domain.backtest.terms import Terms
from alphapulse.domain.backtest.walk import Verdict
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.money import exact, quantise
from alphapulse.domain.signals import Direction


@dataclass(frozen=True, slots=True)
class Point:
    """The account at a bar's close.

    Attributes
    ----------
    at : datetime
        The close.
    equity : Decimal
        Cash and position at the close's price.
    stance : Stance
        Of the position held.
    """

    at: datetime
    equity: Decimal
    stance: Stance


@dataclass(frozen=True, slots=True)
class Simulation:
    """An account's course.

    Attributes
    ----------
    points : tuple of Point
        One per bar; the first is the starting equity, for nothing can be traded before the first close.
    fills, trades : tuple
        In order of time; a position that is still open is in no trade.
    open_entry : Fill or None
        Of the position that is open at the end.
    fees, slippage, traded : Decimal
        Sums over the fills.
    late_fills : int
        Fills for which the next bar was missing, so that a later one's open counted.
    ruined_at : datetime or None
        The close at which the account was worth nothing any more; it stops trading there.
    """

    points: tuple[Point, ...]
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    open_entry: Fill | None
    fees: Decimal
    slippage: Decimal
    traded: Decimal
    late_fills: int
    ruined_at: datetime | None


def simulate(
    candles: Sequence[Candle], said: Sequence[Verdict], *, interval: Interval, terms: Terms
) -> Simulation:
    """Trade what was said.

    Parameters
    ----------
    candles : sequence of Candle
        Bars that exist, ascending; nothing is put in a gap.
    said : sequence of Verdict
        At the close of each of them. A buy means long; a sell means flat, or short where the terms allow it;
        a hold or an abstention leaves the position as it is. The last one is not traded: no open follows.
    interval : Interval
        Length of a bar.
    terms : Terms
        Costs and sizes.
    """
    course = _Course(terms, timedelta(seconds=interval.seconds))
    with exact():
        for candle, verdict in zip(candles, said, strict=True):
            course.pass_bar(candle, verdict)
    account = course.account
    return Simulation(
        points=tuple(course.points),
        fills=tuple(account.fills),
        trades=tuple(account.trades),
        open_entry=account.entry,
        fees=account.fees,
        slippage=account.slippage,
        traded=account.traded,
        late_fills=course.late_fills,
        ruined_at=course.ruined_at,
    )


def buy_and_hold(candles: Sequence[Candle], *, interval: Interval, terms: Terms) -> Simulation:
    """Buy at the second bar's open, the first an agent can trade at, and keep it; on the same terms."""
    return simulate(candles, [_BUY] * len(candles), interval=interval, terms=terms)


class _Course:
    def __init__(self, terms: Terms, length: timedelta) -> None:
        self.account = Account(terms)
        self.points: list[Point] = []
        self.late_fills = 0
        self.ruined_at: datetime | None = None
        self._short = terms.short
        self._length = length
        self._wanted: Stance | None = None
        self._closed_at: datetime | None = None

    def pass_bar(self, candle: Candle, verdict: Verdict) -> None:
        """Trade at the open what was said before, value at the close, note what is said there."""
        account = self.account
        if self._wanted is not None:
            fills = len(account.fills)
            account.turn(self._wanted, candle.open_time, candle.open)
            if candle.open_time != self._closed_at:
                self.late_fills += len(account.fills) - fills
        self._closed_at = candle.open_time + self._length
        point = Point(self._closed_at, quantise(account.equity(candle.close)), account.stance)
        self.points.append(point)
        if self.ruined_at is None and point.equity <= 0:
            self.ruined_at = self._closed_at
        self._wanted = Stance.FLAT if self.ruined_at else _wanted(verdict, short=self._short)


def _wanted(verdict: Verdict, *, short: bool) -> Stance | None:
    if verdict.direction is Direction.BUY:
        return Stance.LONG
    if verdict.direction is Direction.SELL:
        return Stance.SHORT if short else Stance.FLAT
    return None


_BUY: Final = Verdict(Direction.BUY)
