"""Stored bars of one symbol and interval."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from alphapulse.domain.candles import Candle, Gap, find_gaps
from alphapulse.domain.instruments import Interval

#: Under which exchange name market data that belongs to no real exchange is kept.
PAPER: Final = "paper"


@dataclass(frozen=True, slots=True)
class Series:
    """Stored bars, oldest first.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of a bar.
    source : str
        Where they come from: ``directory``, ``simulated``, or an exchange.
    candles : tuple of Candle
        At least one.
    exchange : str
        Whose prices they are.
    """

    symbol: str
    interval: Interval
    source: str
    candles: tuple[Candle, ...]
    exchange: str = PAPER

    @property
    def gaps(self) -> list[Gap]:
        """Bars missing between the first and the last; nothing is put in their place."""
        return find_gaps([candle.open_time for candle in self.candles], self.interval)

    def newest(self, bars: int) -> "Series":
        """Return the newest bars."""
        if bars >= len(self.candles):
            return self
        return Series(self.symbol, self.interval, self.source, self.candles[-bars:], self.exchange)

    def closed(self, now: dt.datetime) -> "Series":
        """Return the bars that have ended by `now`."""
        length = dt.timedelta(seconds=self.interval.seconds)
        ended = len(self.candles)
        while ended and self.candles[ended - 1].open_time + length > now:
            ended -= 1
        if ended == len(self.candles):
            return self
        return Series(self.symbol, self.interval, self.source, self.candles[:ended], self.exchange)
