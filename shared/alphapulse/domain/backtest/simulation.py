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
    account, step = Account(terms), timedelta(seconds=interval.seconds)
    points: list[Point] = []
    wanted: Stance | None = None
    ruined_at: datetime | None = None
    late, closed_at = 0, None
    with exact():
        for candle, verdict in zip(candles, said, strict=True):
            if wanted is not None:
                fills = len(account.fills)
                account.turn(wanted, candle.open_time, candle.open)
                late += (len(account.fills) - fills) * (candle.open_time != closed_at)
            closed_at = candle.open_time + step
            points.append(Point(closed_at, quantise(account.equity(candle.close)), account.stance))
            if ruined_at is None and points[-1].equity <= 0:
                ruined_at = closed_at
            wanted = Stance.FLAT if ruined_at else _wanted(verdict, short=terms.short)
    return Simulation(
        points=tuple(points),
        fills=tuple(account.fills),
        trades=tuple(account.trades),
        open_entry=account.entry,
        fees=account.fees,
        slippage=account.slippage,
        traded=account.traded,
        late_fills=late,
        ruined_at=ruined_at,
    )


def buy_and_hold(candles: Sequence[Candle], *, interval: Interval, terms: Terms) -> Simulation:
    """Buy at the second bar's open, the first an agent can trade at, and keep it; on the same terms."""
    return simulate(candles, [_BUY] * len(candles), interval=interval, terms=terms)


def _wanted(verdict: Verdict, *, short: bool) -> Stance | None:
    if verdict.direction is Direction.BUY:
        return Stance.LONG
    if verdict.direction is Direction.SELL:
        return Stance.SHORT if short else Stance.FLAT
    return None


_BUY: Final = Verdict(Direction.BUY)
