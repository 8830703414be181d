"""Last prices of one exchange, through the market cache that all tenants share."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from alphapulse.domain.money import InvalidDecimal, decimal_text, parse_positive
from alphapulse.providers.candles import BrokenCandleFile, CandleSource, Clock
from alphapulse.providers.candles import Ticker as CandleTicker
from alphapulse.providers.candles import UnknownSymbol as NoSuchCandles
from alphapulse.tenancy.cache import SharedCache
from alphapulse.venues.protocol import Ticker, UnknownSymbol

TICKER_TTL_SECONDS = 5.0

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
        for symbol, value in zip(symbols, cached, strict=True):
            ticker = _from_cache(symbol, value) or await self._ask(symbol)
            if ticker is not None:
                found[symbol] = ticker
        return found

    async def _ask(self, symbol: str) -> Ticker | None:
        try:
            ticker = await self._source.ticker(symbol, self._clock())
        except NoSuchCandles:
            return None
        except BrokenCandleFile as error:
            logger.warning("no_price", exchange=self._exchange, symbol=symbol, error=str(error))
            self._known.add(symbol)
            return None
        self._known.add(symbol)
        await self._cache.put(
            self._exchange, symbol, "ticker", value=_to_cache(ticker), ttl_seconds=TICKER_TTL_SECONDS
        )
        return Ticker(symbol=symbol, price=ticker.price, as_of=ticker.as_of, source=ticker.source)


def _to_cache(ticker: CandleTicker) -> dict[str, str]:
    return {
        "symbol": ticker.symbol,
        "price": decimal_text(ticker.price),
        "bid": decimal_text(ticker.bid),
        "ask": decimal_text(ticker.ask),
        "as_of": ticker.as_of.isoformat(),
        "bar_open_time": ticker.bar_open_time.isoformat(),
        "source": ticker.source,
    }


def _from_cache(symbol: str, value: Any) -> Ticker | None:
    """Return the ticker, or None for an entry that is none: the cache is never trusted with money."""
    if not isinstance(value, dict):
        return None
    try:
        as_of = dt.datetime.fromisoformat(value["as_of"])
        price = parse_positive(value["price"], name="price")
        source = str(value["source"])
    except (KeyError, TypeError, ValueError, InvalidDecimal):
        return None
    if as_of.tzinfo is None or value.get("symbol") != symbol:
        return None
    return Ticker(symbol=symbol, price=price, as_of=as_of, source=source)
