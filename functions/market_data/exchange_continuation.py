"""How a series that comes from an exchange is begun, continued, and caught up with after an outage."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.market.writing import StoredBar
from functions.market_data.wanted_bars import Continuation

if TYPE_CHECKING:
    from alphapulse.providers.candles.exchange import ExchangeCandles

#: As many as the longest window an agent may be set to.
FIRST_BARS: Final = 1_000
#: Stored bars that are read again with the next ones: an exchange corrects its newest.
OVERLAP_BARS: Final = 2
#: Most new bars of one refresh, oldest first; after a long outage the next refreshes go on from there.
PORTION_BARS: Final = 3_000

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


async def exchange_continuation(
    exchange: "ExchangeCandles",
    symbol: str,
    interval: Interval,
    *,
    stored: StoredBar | None,
    every_bar: bool,
    now: dt.datetime,
) -> Continuation:
    """Return the bars that are to be stored now; asks nothing while no further bar has closed.

    Bars are stored from the oldest missing one on, so that there is never a hole that a later refresh would
    not see. A series from another source is replaced, once the exchange has answered.

    Parameters
    ----------
    exchange : ExchangeCandles
        Where bars come from.
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of a bar.
    stored : StoredBar or None
        The newest stored bar.
    every_bar : bool
        Read the bars of a first refresh again, to have them compared with those that are stored.
    now : datetime
        Aware, UTC.

    Raises
    ------
    alphapulse.providers.candles.CandleError
        As the exchange says.
    """
    step = dt.timedelta(seconds=interval.seconds)
    newest = interval.open_of(now) - step
    beginning = newest - (FIRST_BARS - 1) * step
    if stored is None or stored.source != exchange.name:
        begun = await exchange.between(symbol, interval, first=beginning, last=newest)
        return Continuation(begun, replaces=stored is not None and bool(begun))
    if stored.open_time >= newest and not every_bar:
        return Continuation((), replaces=False)
    first = stored.open_time - OVERLAP_BARS * step
    if every_bar:
        first = min(first, beginning)
    bars = await _onwards(exchange, symbol, interval, first=first, after=stored.open_time, newest=newest)
    _tell_of_hole(exchange, symbol, interval, stored=stored, bars=bars)
    return Continuation(bars, replaces=False)


async def _onwards(
    exchange: "ExchangeCandles",
    symbol: str,
    interval: Interval,
    *,
    first: dt.datetime,
    after: dt.datetime,
    newest: dt.datetime,
) -> Sequence[Candle]:
    """Return the bars from `first` on with the first portion after `after` that holds any."""
    step = dt.timedelta(seconds=interval.seconds)
    found: list[Candle] = []
    end = min(after + PORTION_BARS * step, newest)
    while True:
        found += await exchange.between(symbol, interval, first=first, last=end)
        if end >= newest or (found and found[-1].open_time > after):
            return found
        first, end = end + step, min(end + PORTION_BARS * step, newest)


def _tell_of_hole(
    exchange: "ExchangeCandles",
    symbol: str,
    interval: Interval,
    *,
    stored: StoredBar,
    bars: Sequence[Candle],
) -> None:
    reach = exchange.facts.newest_bars
    later = next((bar for bar in bars if bar.open_time > stored.open_time), None)
    if reach is None or later is None:
        return
    missing = (later.open_time - stored.open_time) // dt.timedelta(seconds=interval.seconds) - 1
    if missing > 0 and len(bars) >= reach:
        logger.warning(
            "bars_out_of_reach",
            source=exchange.name,
            symbol=symbol,
            interval=interval.value,
            missing=missing,
            reason=f"the exchange gives its newest {reach} bars only",
        )
