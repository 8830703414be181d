"""Which bars of a source are to be stored, given what is stored already."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.market.writing import StoredBar
from alphapulse.providers.candles import CandleSource, as_exchange
from functions.market_data.exchange_continuation import exchange_continuation
from functions.market_data.wanted_bars import Continuation

# The simulation has no beginning; its first bars are as many as are ever answered at once.
_FIRST_BARS: Final = {"simulated": 500, "directory": 10_000_000}
# After a pause, as many simulated bars as the longest window an agent may be set to.
_MOST_MISSED_BARS: Final = {"simulated": 1_000, "directory": 10_000_000}


async def continuation(
    source: CandleSource,
    symbol: str,
    interval: Interval,
    *,
    stored: StoredBar | None,
    every_bar: bool,
    now: dt.datetime,
) -> Continuation:
    """Return what a source has of a series beyond the newest stored bar.

    A stored series that came from another source, or that the source contradicts, is replaced whole: two
    histories in one series would show a jump that never was.

    Parameters
    ----------
    source : CandleSource
        Where bars come from.
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of a bar.
    stored : StoredBar or None
        The newest stored bar.
    every_bar : bool
        Return all bars, to have them compared with those that are stored.
    now : datetime
        Aware, UTC; tells which bars of an exchange have closed.

    Raises
    ------
    alphapulse.providers.candles.CandleError
        As the source says.
    """
    exchange = as_exchange(source)
    if exchange is not None:
        return await exchange_continuation(
            exchange, symbol, interval, stored=stored, every_bar=every_bar, now=now
        )
    first = _FIRST_BARS[source.name]
    newest = (await source.candles(symbol, interval, limit=1)).candles
    if not newest:
        return Continuation((), replaces=False)
    if stored is None:
        return Continuation((await source.candles(symbol, interval, limit=first)).candles, replaces=False)
    missed = _bars_after(stored.open_time, newest[-1].open_time, interval)
    if stored.source == source.name and missed >= 0:
        limit = first if every_bar else min(missed + 1, _MOST_MISSED_BARS[source.name])
        candles = newest if limit == 1 else (await source.candles(symbol, interval, limit=limit)).candles
        if not _contradicts(candles, stored, source.name):
            return Continuation(candles, replaces=False)
    return Continuation((await source.candles(symbol, interval, limit=first)).candles, replaces=True)


def _bars_after(earlier: dt.datetime, later: dt.datetime, interval: Interval) -> int:
    return (later - earlier) // dt.timedelta(seconds=interval.seconds)


def _contradicts(candles: Sequence[Candle], stored: StoredBar, source_name: str) -> bool:
    # Files may correct their newest bar; closed bars of one simulation never change, so this is another.
    if source_name != "simulated":
        return False
    return any(
        candle.open_time == stored.open_time and candle.close != stored.close for candle in reversed(candles)
    )
