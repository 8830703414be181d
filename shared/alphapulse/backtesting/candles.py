"""Candles of a backtest: from files, from the store or simulated. Nothing here needs numpy."""

import datetime as dt
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alphapulse.backtesting.limits import MOST_BARS, require_bars
from alphapulse.backtesting.request import BacktestRequest
from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.domain.candles import Candle
from alphapulse.market.series import PAPER
from alphapulse.providers.candles.source import CandleSource

sql = queries.load(__file__)


class NoCandles(ValueError):
    """There are no candles to walk over."""


@dataclass(frozen=True, slots=True)
class History:
    """Candles of a backtest.

    Attributes
    ----------
    candles : sequence of Candle
        Ascending, with those before `first` for the agent to look back on.
    first : int
        Position of the first bar asked for.
    source : str
        Where they come from.
    """

    candles: Sequence[Candle]
    first: int
    source: str


async def from_source(source: CandleSource, request: BacktestRequest, *, back: int) -> History:
    """Read candles of files or of the simulation.

    Raises
    ------
    alphapulse.providers.candles.source.CandleError
        The source has none.
    NoCandles, TooLarge
        None, or too many, in the time asked for.
    """
    end = request.end
    limit = MOST_BARS + back + 1
    if request.start is not None and end is not None:
        # The simulation makes what it is asked for: no more than that.
        limit = min(limit, -(-(end - request.start) // _length(request)) + back + 1)
    batch = await source.candles(request.symbol, request.interval, limit=limit, until=end)
    opens = [candle.open_time for candle in batch.candles]
    first = 0 if request.start is None else bisect_left(opens, request.start)
    require_bars(len(opens) - first)
    kept = max(first - back, 0)
    return _history(request, batch.candles[kept:], first - kept, batch.source)


async def from_store(session: Session, request: BacktestRequest, *, back: int) -> History:
    """Read the candles that are stored for all tenants.

    Raises
    ------
    NoCandles, TooLarge
        None, or too many, in the time asked for.
    """
    key = {"exchange": PAPER, "symbol": request.symbol, "interval": request.interval.value}
    start, newest_open = request.start, None if request.end is None else request.end - _length(request)
    found = sql.candles(session, **key, first_open=start, last_open=newest_open, row_limit=MOST_BARS + 1)
    rows = [row async for row in found]
    require_bars(len(rows))
    earlier: list[Any] = []
    if start is not None and back:
        earlier = [row async for row in sql.candles_before(session, **key, before=start, row_limit=back)]
    earlier.reverse()
    sources = sorted({row["source"] for row in rows})
    return _history(request, [_candle(row) for row in (*earlier, *rows)], len(earlier), "+".join(sources))


async def stored_bars(session: Session, request: BacktestRequest) -> int:
    """Count the stored bars of a request, as far as they are allowed and one more."""
    newest_open = None if request.end is None else request.end - _length(request)
    count: int = await sql.count_candles(
        session,
        exchange=PAPER,
        symbol=request.symbol,
        interval=request.interval.value,
        first_open=request.start,
        last_open=newest_open,
        row_limit=MOST_BARS + 1,
    )
    return count


def _history(request: BacktestRequest, candles: Sequence[Candle], first: int, source: str) -> History:
    if len(candles) <= first:
        span = "" if request.start is None and request.end is None else " in the time asked for"
        raise NoCandles(f"there are no candles of {request.symbol} in {request.interval}{span}")
    return History(candles, first, source)


def _length(request: BacktestRequest) -> dt.timedelta:
    return dt.timedelta(seconds=request.interval.seconds)


def _candle(row: Any) -> Candle:
    return Candle(row["open_time"], row["open"], row["high"], row["low"], row["close"], row["volume"])
