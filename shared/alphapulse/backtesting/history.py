"""The past a backtest walks over: candles of files, a store or the simulation, and the agents' other data."""

import datetime as dt
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from alphapulse.backtesting.limits import MOST_BARS, require_bars
from alphapulse.backtesting.request import BacktestRequest
from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Bars, Dataset, Evidence
from alphapulse.domain.agents.registry import agent
from alphapulse.domain.backtest.run import Backtest
from alphapulse.domain.candles import Candle
from alphapulse.domain.series import price_series
from alphapulse.market.series import PAPER
from alphapulse.providers.candles.source import CandleSource
from alphapulse.providers.errors import ProviderError
from alphapulse.providers.providers import Providers
from alphapulse.runtime.resources import Resources

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


def backtest_of(request: BacktestRequest) -> Backtest:
    """Return what a request asks of the pure code; loads the agent."""
    return Backtest(agent(request.agent), request.parameters, request.terms, request.plan)


def looked_back(backtest: Backtest) -> int:
    """Return how many bars before the first one an agent may read, whichever parameters are chosen."""
    return max(backtest.definition.bars(parameters) for parameters in backtest.candidates)


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


async def evidence_of(
    history: History,
    request: BacktestRequest,
    definition: AgentDefinition,
    resources: Resources,
) -> Evidence:
    """Return everything there is for an agent to read, past and future, with what is missing and why.

    Parameters
    ----------
    history : History
        The candles.
    request : BacktestRequest
        What is asked.
    definition : AgentDefinition
        Which datasets it reads.
    resources : Resources
        Of the process: the sources of everything but candles.
    """
    bars = Bars(price_series(history.candles), request.interval, history.source)
    base = request.symbol.partition("-")[0]
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for dataset in sorted(definition.reads - {Dataset.CANDLES}):
        try:
            found[dataset.value] = await _READERS[dataset](resources.providers, base)
        except ProviderError as error:
            missing[dataset.value] = str(error)
    return Evidence(request.symbol, request.interval, resources.clock(), bars=bars, missing=missing, **found)


def _history(request: BacktestRequest, candles: Sequence[Candle], first: int, source: str) -> History:
    if len(candles) <= first:
        span = "" if request.start is None and request.end is None else " in the time asked for"
        raise NoCandles(f"there are no candles of {request.symbol} in {request.interval}{span}")
    return History(candles, first, source)


def _length(request: BacktestRequest) -> dt.timedelta:
    return dt.timedelta(seconds=request.interval.seconds)


def _candle(row: Any) -> Candle:
    return Candle(row["open_time"], row["open"], row["high"], row["low"], row["close"], row["volume"])


_READERS: Final[Mapping[Dataset, Callable[[Providers, str], Awaitable[Any]]]] = {
    Dataset.ON_CHAIN: Providers.on_chain,
    Dataset.SUPPLY: Providers.supply,
    Dataset.POSTS: Providers.posts,
    Dataset.GOVERNANCE: Providers.governance,
}
