"""Last prices of one exchange, through the market cache that all tenants share."""

from collections.abc import Mapping, Sequence

import structlog

from alphapulse.market.tickers import cached_ticker, read_ticker
from alphapulse.providers.candles import BrokenCandleFile, CandleSource, Clock
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
        found: dict[str, Ticker] = {}
        cached = await self._cache.get_many([(self._exchange, symbol, "ticker") for symbol in symbols])
        for symbol, document in zip(symbols, cached, strict=True):
            known = cached_ticker(symbol, document)
            if known is None or known.source != self._source.name:
                known = await self._ask(symbol)
            if known is not None:
                found[symbol] = Ticker(
                    symbol=symbol, price=known.price, as_of=known.as_of, source=known.source
                )
        return found

    async def _ask(self, symbol: str) -> CandleTicker | None:
        try:
            ticker = await read_ticker(
                self._source, self._cache, symbol, now=self._clock(), exchange=self._exchange
            )
        except NoSuchCandles:
            return None
        except BrokenCandleFile as error:
            logger.warning("no_price", exchange=self._exchange, symbol=symbol, error=str(error))
            self._known.add(symbol)
            return None
        self._known.add(symbol)
        return ticker
