"""Candles and last prices: from an exchange, from a directory of files, or from a simulation that says so.

The implementations are imported only when chosen: the simulation needs numpy, an exchange an HTTP client.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alphapulse.providers.candles.source import (
    BrokenCandleFile,
    CandleBatch,
    CandleError,
    CandleSource,
    CandlesUnavailable,
    Clock,
    FileProblem,
    IntervalUnavailable,
    Listing,
    Ticker,
    UnknownSymbol,
    utc_now,
)

if TYPE_CHECKING:
    from alphapulse.providers.candles.exchange import ExchangeCandles
    from alphapulse.providers.candles.public_market import PublicMarket
    from alphapulse.providers.shared_reads import Observer
    from alphapulse.tenancy.cache import CacheConnection

__all__ = [
    "BrokenCandleFile",
    "CandleBatch",
    "CandleError",
    "CandleSource",
    "CandlesUnavailable",
    "Clock",
    "Exchange",
    "FileProblem",
    "IntervalUnavailable",
    "Listing",
    "Ticker",
    "UnknownSymbol",
    "as_exchange",
    "candle_source",
    "exchange_endpoints",
    "utc_now",
]


#: For how long it is remembered that an exchange gave no prices.
FAILURE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Whose public endpoints are asked.

    Attributes
    ----------
    name : str
        ``binance``, ``coinbase`` or ``kraken``.
    symbols : tuple of str
        The ones to serve; the majors that the exchange has when empty.
    base_url : str, optional
        A test system instead of the exchange.
    cache : CacheConnection
        Where the platform's budget for the exchange is counted, and its last prices are shared.
    observer : Observer
        Counts questions to the exchange.
    """

    name: str
    symbols: tuple[str, ...] = ()
    base_url: str | None = None
    cache: "CacheConnection"
    observer: "Observer"


def candle_source(
    market_data_dir: Path | None, seed: int, *, clock: Clock = utc_now, exchange: Exchange | None = None
) -> CandleSource:
    """Choose where candles come from.

    Parameters
    ----------
    market_data_dir : Path or None
        A directory of candle files; wins where it is given.
    seed : int
        Of the simulation; the same seed always gives the same bars.
    clock : callable
        Tells the simulation and an exchange's adapter which bars have closed.
    exchange : Exchange, optional
        Asked when there is no directory; without either, candles are simulated.

    Returns
    -------
    CandleSource
        Its ``name`` is ``directory``, the exchange's, or ``simulated``, and every answer repeats it.

    Raises
    ------
    NotADirectoryError
        When the path is no directory.
    ValueError
        When there is no adapter for the exchange.
    """
    if market_data_dir is not None:
        from alphapulse.providers.candles.directory import DirectoryCandles  # noqa: PLC0415 - only if chosen

        return DirectoryCandles(market_data_dir)
    if exchange is not None:
        return _live(exchange, clock)
    from alphapulse.providers.candles.simulated import SimulatedCandles  # noqa: PLC0415 - needs numpy

    return SimulatedCandles(seed, clock=clock)


def exchange_endpoints(name: str) -> "PublicMarket":
    """Return what the public endpoints of an exchange look like.

    Raises
    ------
    ValueError
        When there is no adapter for it.
    """
    from alphapulse.providers.candles.binance import BinancePublic  # noqa: PLC0415 - only if chosen
    from alphapulse.providers.candles.coinbase import CoinbasePublic  # noqa: PLC0415 - as above
    from alphapulse.providers.candles.kraken import KrakenPublic  # noqa: PLC0415 - as above

    for market in (BinancePublic(), CoinbasePublic(), KrakenPublic()):
        if market.facts.name == name:
            return market
    raise ValueError(f"there is no adapter for market data of {name!r}")


def as_exchange(source: CandleSource) -> "ExchangeCandles | None":
    """Return a source that is an exchange as one; None for another."""
    if not source.shares_prices:
        return None
    from alphapulse.providers.candles.exchange import ExchangeCandles  # noqa: PLC0415 - only if chosen

    return source if isinstance(source, ExchangeCandles) else None


def _live(exchange: Exchange, clock: Clock) -> CandleSource:
    from alphapulse.providers.budget import SourceBudget  # noqa: PLC0415 - only if chosen
    from alphapulse.providers.candles.exchange import ExchangeCandles  # noqa: PLC0415 - as above
    from alphapulse.providers.candles.exchange_client import ExchangeClient  # noqa: PLC0415 - as above
    from alphapulse.providers.shared_reads import SharedReads  # noqa: PLC0415 - as above

    market = exchange_endpoints(exchange.name)
    budget = SourceBudget(exchange.cache, exchange.name, pace=market.facts.pace)
    address = exchange.base_url or market.facts.base_url
    client = ExchangeClient(market, address, budget=budget, clock=clock)
    # A price is wanted again within seconds, so a failure is not remembered for longer.
    reads = SharedReads(
        exchange.cache, clock=clock, observer=exchange.observer, failure_seconds=FAILURE_SECONDS
    )
    return ExchangeCandles(market, client, reads=reads, symbols=exchange.symbols, clock=clock)
