"""The last price of a symbol: from the shared cache, else from the source of candles."""

import datetime as dt
from decimal import Decimal
from typing import Any, Final

from alphapulse.domain.money import decimal_text
from alphapulse.domain.quotes import PriceQuote
from alphapulse.market.series import PAPER
from alphapulse.providers.candles import CandleSource, Ticker
from alphapulse.tenancy.cache import SharedCache

TTL_SECONDS: Final = 5.0


async def read_ticker(
    source: CandleSource, cache: SharedCache, symbol: str, *, now: dt.datetime, exchange: str = PAPER
) -> Ticker:
    """Return the last price, at most five seconds old.

    Parameters
    ----------
    source : CandleSource
        Asked when the cache has no ticker, or has one of another source.
    cache : SharedCache
        The market data cache.
    symbol : str
        ``BASE-QUOTE``.
    now : datetime
        Aware, UTC.
    exchange : str
        Whose price.

    Raises
    ------
    alphapulse.providers.candles.UnknownSymbol, alphapulse.providers.candles.BrokenCandleFile
        As the source says.
    """
    document = await cache.get(exchange, symbol, "ticker")
    if document is not None and document["source"] == source.name:
        return _ticker(symbol, document)
    ticker = await source.ticker(symbol, now)
    await cache.put(exchange, symbol, "ticker", value=_document(ticker), ttl_seconds=TTL_SECONDS)
    return ticker


def quote(ticker: Ticker) -> PriceQuote:
    """Return the price with its age, as the trading rules take it."""
    return PriceQuote(ticker.price, ticker.as_of)


async def drop_ticker(cache: SharedCache, symbol: str, *, exchange: str = PAPER) -> None:
    """Forget the cached price, because a newer bar is stored."""
    await cache.drop(exchange, symbol, "ticker")


def _document(ticker: Ticker) -> dict[str, str]:
    return {
        "price": decimal_text(ticker.price),
        "bid": decimal_text(ticker.bid),
        "ask": decimal_text(ticker.ask),
        "as_of": ticker.as_of.isoformat(),
        "bar_open_time": ticker.bar_open_time.isoformat(),
        "source": ticker.source,
    }


def _ticker(symbol: str, document: dict[str, Any]) -> Ticker:
    return Ticker(
        symbol=symbol,
        price=Decimal(document["price"]),
        bid=Decimal(document["bid"]),
        ask=Decimal(document["ask"]),
        as_of=dt.datetime.fromisoformat(document["as_of"]),
        bar_open_time=dt.datetime.fromisoformat(document["bar_open_time"]),
        source=document["source"],
    )
