"""Public market data of Coinbase Advanced Trade.

References
----------
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/get-public-product-candles
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, Interval
from alphapulse.providers.budget import Pace
from alphapulse.providers.candles.public_market import LastPrice, MarketFacts, PublicRequest, Refusal
from alphapulse.providers.candles.reading import bar, figure, is_symbol, moment, positive
from alphapulse.providers.transport import reading

_NAME: Final = "coinbase"
_PRODUCTS: Final = "/api/v3/brokerage/market/products"
_GRANULARITIES: Final = {
    Interval.MINUTE: "ONE_MINUTE",
    Interval.FIVE_MINUTES: "FIVE_MINUTE",
    Interval.FIFTEEN_MINUTES: "FIFTEEN_MINUTE",
    Interval.HOUR: "ONE_HOUR",
    Interval.FOUR_HOURS: "FOUR_HOUR",
    Interval.DAY: "ONE_DAY",
}
_NOT_FOUND: Final = 404
_CLOSED_TO_TRADE: Final = ("is_disabled", "trading_disabled", "cancel_only", "view_only", "auction_mode")


class CoinbasePublic:
    """Implements `PublicMarket`."""

    # Public endpoints allow an address 10 requests a second.
    facts = MarketFacts(
        name=_NAME,
        base_url="https://api.coinbase.com",
        ping="/api/v3/brokerage/time",
        quotes=("USD",),
        intervals=tuple(_GRANULARITIES),
        page_bars=350,
        ticker_symbols=1,
        pace=Pace(per_minute=300, burst=8),
        parallel=4,
    )

    def instruments_request(self, symbols: Sequence[str]) -> PublicRequest:
        """Ask for the rules of symbols; those that do not exist are left out of the answer."""
        return PublicRequest(_PRODUCTS, [("product_ids", symbol) for symbol in symbols])

    def instruments(self, body: Any) -> Mapping[str, Instrument]:
        """Return the rules of those that trade now."""
        with reading(_NAME, "its instruments"):
            found = [_instrument(product) for product in body["products"]]
        return {instrument.symbol: instrument for instrument in found if instrument is not None}

    def candles_request(
        self, symbol: str, interval: Interval, *, first: datetime, last: datetime
    ) -> PublicRequest:
        """Ask for the bars that opened between two moments.

        The end is put within the last bar, so that it makes no difference whether it counts as included.
        """
        end = last + timedelta(seconds=interval.seconds - 1)
        parameters = [
            ("start", str(int(first.timestamp()))),
            ("end", str(int(end.timestamp()))),
            ("granularity", _GRANULARITIES[interval]),
            ("limit", str(self.facts.page_bars)),
        ]
        return PublicRequest(f"{_PRODUCTS}/{symbol}/candles", parameters)

    def candles(self, body: Any, interval: Interval) -> list[Candle]:
        """Return the bars of an answer; there is none of a time without a trade."""
        with reading(_NAME, "bars"):
            found = [
                bar(
                    interval,
                    moment(int(row["start"])),
                    [row[name] for name in ("open", "high", "low", "close", "volume")],
                )
                for row in body["candles"]
            ]
        return [candle for candle in found if candle is not None]

    def tickers_request(self, symbols: Sequence[str]) -> PublicRequest:
        """Ask for the last trade of one symbol."""
        [symbol] = symbols
        return PublicRequest(f"{_PRODUCTS}/{symbol}/ticker", [("limit", "1")])

    def tickers(self, body: Any, symbols: Sequence[str], *, now: datetime) -> Mapping[str, LastPrice]:
        """Return the price of the last trade; it was true when that was made."""
        [symbol] = symbols
        with reading(_NAME, "prices"):
            trades = body["trades"]
            if not trades:
                return {}
            price = LastPrice(
                price=positive(trades[0]["price"]),
                bid=positive(body["best_bid"]),
                ask=positive(body["best_ask"]),
                at=min(_aware(trades[0]["time"]), now),
            )
        return {symbol: price}

    def refusal(self, status: int, body: Any) -> Refusal | None:
        """Say what an answer without data means."""
        error = (body.get("error") or None) if isinstance(body, dict) else None
        if status == _NOT_FOUND or error in ("NOT_FOUND", "INVALID_PRODUCT_ID"):
            return Refusal.UNKNOWN_SYMBOL
        return None if status < 400 and error is None else Refusal.OTHER  # noqa: PLR2004 - client errors


def _aware(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time must have an offset")
    return at.astimezone(UTC)


def _instrument(product: Mapping[str, Any]) -> Instrument | None:
    if any(product.get(flag) for flag in _CLOSED_TO_TRADE) or product["status"] != "online":
        return None
    symbol = product["product_id"]
    if not is_symbol(symbol):
        return None
    return Instrument(
        symbol,
        lot=positive(product["base_increment"]).normalize(),
        tick=positive(product.get("price_increment") or product["quote_increment"]).normalize(),
        min_notional=figure(product["quote_min_size"]).normalize(),
    )
