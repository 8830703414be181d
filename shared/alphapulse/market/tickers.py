"""The last price of a symbol: from the shared cache, else from the source of candles."""

import datetime as dt
from typing import Any, Final

from alphapulse.domain.money import decimal_text, parse_positive
from alphapulse.domain.quotes import PriceQuote
from alphapulse.market.series import PAPER
from alphapulse.providers.candles import CandleSource, Ticker
from alphapulse.tenancy.cache import SharedCache

TTL_SECONDS: Final = 5.0


async def read_ticker(
    source: CandleSource, cache: SharedCache, symbol: str, *, now: dt.datetime, exchange: str = PAPER
) -> Ticker:
    """Return the last price, at most five seconds old.

    A source that keeps prices for all processes itself is asked each time.

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
    alphapulse.providers.candles.CandleError
        As the source says.
    """
    if source.shares_prices:
        return await source.ticker(symbol, now)
    cached = cached_ticker(symbol, await cache.get(exchange, symbol, "ticker"))
    if cached is not None and cached.source == source.name:
        return cached
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
        "symbol": ticker.symbol,
        "price": decimal_text(ticker.price),
        "bid": decimal_text(ticker.bid),
        "ask": decimal_text(ticker.ask),
        "as_of": ticker.as_of.isoformat(),
        "bar_open_time": ticker.bar_open_time.isoformat(),
        "source": ticker.source,
    }


def cached_ticker(symbol: str, document: Any) -> Ticker | None:
    """Read a cache entry; one that cannot be read is missing: the cache is never trusted with prices."""
    try:
        if document["symbol"] != symbol:
            return None
        return Ticker(
            symbol=symbol,
            price=parse_positive(document["price"], name="price"),
            bid=parse_positive(document["bid"], name="bid"),
            ask=parse_positive(document["ask"], name="ask"),
            as_of=_aware(document["as_of"]),
            bar_open_time=_aware(document["bar_open_time"]),
            source=document["source"],
        )
    except (KeyError, TypeError, ValueError):
        return None


def _aware(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time needs an offset, was {text!r}")
    return moment
