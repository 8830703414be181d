"""Public market data of Binance spot.

References
----------
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, Interval
from alphapulse.providers.budget import Pace
from alphapulse.providers.candles.public_market import LastPrice, MarketFacts, PublicRequest, Refusal
from alphapulse.providers.candles.reading import bar, figure, is_symbol, milliseconds, positive
from alphapulse.providers.transport import reading

_NAME: Final = "binance"
_INVALID_SYMBOL: Final = -1121
_TOO_MANY_REQUESTS: Final = -1003


class BinancePublic:
    """Implements `PublicMarket`."""

    # An address may spend a weight of 6,000 a minute; bars and tickers weigh 2, the list of symbols 20.
    facts = MarketFacts(
        name=_NAME,
        base_url="https://api.binance.com",
        ping="/api/v3/ping",
        quotes=("USDT",),
        page_bars=1000,
        ticker_symbols=20,
        pace=Pace(per_minute=1200, burst=100),
        parallel=6,
    )

    def instruments_request(self, symbols: Sequence[str]) -> PublicRequest:
        """Ask for the rules of symbols; one that does not exist makes the whole request be refused."""
        parameters = [("symbols", _native_list(symbols)), ("showPermissionSets", "false")]
        return PublicRequest("/api/v3/exchangeInfo", parameters)

    def instruments(self, body: Any) -> Mapping[str, Instrument]:
        """Return the rules of those that trade now."""
        with reading(_NAME, "its instruments"):
            traded = [entry for entry in body["symbols"] if entry["status"] == "TRADING"]
            listed = [_instrument(entry) for entry in traded]
        return {instrument.symbol: instrument for instrument in listed if instrument is not None}

    def candles_request(
        self, symbol: str, interval: Interval, *, first: datetime, last: datetime
    ) -> PublicRequest:
        """Ask for the bars that opened between two moments."""
        parameters = [
            ("symbol", _native(symbol)),
            ("interval", interval.value),
            ("startTime", str(int(first.timestamp()) * 1000)),
            ("endTime", str(int(last.timestamp()) * 1000)),
            ("limit", str(self.facts.page_bars)),
        ]
        return PublicRequest("/api/v3/klines", parameters)

    def candles(self, body: Any, interval: Interval) -> list[Candle]:
        """Return the bars of an answer."""
        with reading(_NAME, "bars"):
            found = [bar(interval, milliseconds(row[0]), row[1:6]) for row in _rows(body)]
        return [candle for candle in found if candle is not None]

    def tickers_request(self, symbols: Sequence[str]) -> PublicRequest:
        """Ask for last prices, with bid and ask: up to 20 symbols weigh what one does."""
        return PublicRequest("/api/v3/ticker/24hr", [("symbols", _native_list(symbols))])

    def tickers(self, body: Any, symbols: Sequence[str], *, now: datetime) -> Mapping[str, LastPrice]:
        """Return the last prices; each was true at the end of the day that its statistics are of."""
        with reading(_NAME, "prices"):
            by_name = {entry["symbol"]: entry for entry in body}
            found = ((symbol, by_name.get(_native(symbol))) for symbol in symbols)
            return {symbol: _last_price(entry, now) for symbol, entry in found if entry is not None}

    def refusal(self, status: int, body: Any) -> Refusal | None:
        """Say what an answer without data means."""
        code = body.get("code") if isinstance(body, dict) else None
        if code == _INVALID_SYMBOL:
            return Refusal.UNKNOWN_SYMBOL
        if code == _TOO_MANY_REQUESTS:
            return Refusal.BUSY
        return None if status < 400 and code is None else Refusal.OTHER  # noqa: PLR2004 - client errors


def _native(symbol: str) -> str:
    return symbol.replace("-", "")


def _native_list(symbols: Sequence[str]) -> str:
    return orjson.dumps([_native(symbol) for symbol in symbols]).decode()


def _last_price(entry: Mapping[str, Any], now: datetime) -> LastPrice:
    return LastPrice(
        price=positive(entry["lastPrice"]),
        bid=positive(entry["bidPrice"]),
        ask=positive(entry["askPrice"]),
        at=min(milliseconds(entry["closeTime"]), now),
    )


def _rows(body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise TypeError("bars must be a list")
    return body


def _instrument(entry: Mapping[str, Any]) -> Instrument | None:
    symbol = f"{entry['baseAsset']}-{entry['quoteAsset']}"
    # Some assets have names outside of ours; nobody can ask for those.
    if not is_symbol(symbol):
        return None
    filters = {rule["filterType"]: rule for rule in entry["filters"]}
    notional = filters.get("NOTIONAL") or filters["MIN_NOTIONAL"]
    return Instrument(
        symbol,
        lot=positive(filters["LOT_SIZE"]["stepSize"]).normalize(),
        tick=positive(filters["PRICE_FILTER"]["tickSize"]).normalize(),
        min_notional=figure(notional["minNotional"]).normalize(),
    )
