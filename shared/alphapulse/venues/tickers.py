"""Last prices of one exchange, through the market cache that all tenants share."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from alphapulse.market.tickers import cached_ticker, read_ticker
from alphapulse.providers.candles import CandleError, CandleSource, Clock
from alphapulse.providers.candles import Ticker as CandleTicker
from alphapulse.providers.candles import UnknownSymbol as NoSuchCandles
from alphapulse.tenancy.cache import SharedCache
from alphapulse.venues.protocol import Ticker, UnknownSymbol

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class CachedTickers:
    """Tickers under `<exchange>:<symbol>:ticker`, asked of `source` when the cache has none.

    One object serves a whole process, so that it remembers which symbols there are.
    """

    def __init__(self, exchange: str, *, cache: SharedCache, source: CandleSource, clock: Clock) -> None:
        self._exchange = exchange
        self._cache = cache
        self._source = source
        self._clock = clock
        self._known: set[str] = set()

    async def require_known(self, symbol: str) -> None:
        """Return if the exchange has the symbol.

        Raises
        ------
        UnknownSymbol
            It has not.
        """
        if symbol not in self._known and await self._ask(symbol) is None and symbol not in self._known:
            raise UnknownSymbol(f"{self._exchange} does not trade {symbol}")

    async def last(self, symbols: Sequence[str]) -> Mapping[str, Ticker]:
        """Return the last prices; a symbol without one is left out."""
        known = await self._cached(symbols)
        missing = [symbol for symbol in symbols if symbol not in known]
        # Together, so that several of an exchange's prices do not wait one for another.
        asked = await asyncio.gather(*(self._ask(symbol) for symbol in missing))
        known |= {ticker.symbol: ticker for ticker in asked if ticker is not None}
        return {
            symbol: Ticker(
                symbol=symbol,
                price=known[symbol].price,
                as_of=known[symbol].as_of,
                source=known[symbol].source,
            )
            for symbol in symbols
            if symbol in known
        }

    async def _cached(self, symbols: Sequence[str]) -> dict[str, CandleTicker]:
        if self._source.shares_prices:
            return {}
        documents = await self._cache.get_many([(self._exchange, symbol, "ticker") for symbol in symbols])
        found = map(cached_ticker, symbols, documents)
        return {
            ticker.symbol: ticker
            for ticker in found
            if ticker is not None and ticker.source == self._source.name
        }

    async def _ask(self, symbol: str) -> CandleTicker | None:
        try:
            ticker = await read_ticker(
                self._source, self._cache, symbol, now=self._clock(), exchange=self._exchange
            )
        except NoSuchCandles:
            return None
        except CandleError as error:
            logger.warning("no_price", exchange=self._exchange, symbol=symbol, error=str(error))
            self._known.add(symbol)
            return None
        self._known.add(symbol)
        return ticker
