"""Public market data of Kraken spot.

References
----------
https://docs.kraken.com/api/docs/rest-api/get-ohlc-data
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, Interval, default_instrument
from alphapulse.providers.budget import Pace
from alphapulse.providers.candles.public_market import LastPrice, MarketFacts, PublicRequest, Refusal
from alphapulse.providers.candles.reading import bar, figure, is_symbol, moment, positive
from alphapulse.providers.transport import reading

_NAME: Final = "kraken"
#: Kraken's names where they are not everybody's.
_THEIRS: Final = {"BTC": "XBT", "DOGE": "XDG"}
_OURS: Final = {theirs: ours for ours, theirs in _THEIRS.items()}
_LEGACY_LENGTH: Final = 8
_BUSY: Final = ("EAPI:Rate limit", "EGeneral:Too many requests", "EService:Throttled")
_DOWN: Final = ("EService:", "EGeneral:Internal error")
_UNKNOWN: Final = ("EQuery:Unknown asset pair", "EQuery:Invalid asset pair")


class KrakenPublic:
    """Implements `PublicMarket`."""

    # An address that asks once a second stays within the limits; the figure is a little below.
    facts = MarketFacts(
        name=_NAME,
        base_url="https://api.kraken.com",
        ping="/0/public/Time",
        quotes=("USD",),
        page_bars=720,
        ticker_symbols=50,
        # The newest of the 720 is always the bar that is still running.
        newest_bars=719,
        pace=Pace(per_minute=48, burst=6),
        parallel=1,
    )

    def instruments_request(self, symbols: Sequence[str]) -> PublicRequest:
        """Ask for the rules of symbols; one that does not exist makes the whole request be refused."""
        return PublicRequest("/0/public/AssetPairs", [("pair", _native_list(symbols))])

    def instruments(self, body: Any) -> Mapping[str, Instrument]:
        """Return the rules of those that trade now."""
        with reading(_NAME, "its instruments"):
            pairs = [pair for pair in body["result"].values() if pair["status"] == "online"]
            listed = [_instrument(pair) for pair in pairs]
        return {instrument.symbol: instrument for instrument in listed if instrument is not None}

    def candles_request(
        self,
        symbol: str,
        interval: Interval,
        *,
        first: datetime,
        last: datetime,  # noqa: ARG002 - the protocol's: an end cannot be asked for here
    ) -> PublicRequest:
        """Ask for the bars since a moment; the answer goes up to now and no further back than 720 bars."""
        parameters = [
            ("pair", _native(symbol)),
            ("interval", str(interval.seconds // 60)),
            # Whether a bar of exactly this time is included is not documented.
            ("since", str(int(first.timestamp()) - interval.seconds)),
        ]
        return PublicRequest("/0/public/OHLC", parameters)

    def candles(self, body: Any, interval: Interval) -> list[Candle]:
        """Return the bars of an answer but the running one: `last` is the newest that is over."""
        with reading(_NAME, "bars"):
            over = moment(int(body["result"]["last"]))
            [rows] = [value for key, value in body["result"].items() if key != "last"]
            found = [bar(interval, moment(row[0]), [*row[1:5], row[6]]) for row in rows]
        return [candle for candle in found if candle is not None and candle.open_time <= over]

    def tickers_request(self, symbols: Sequence[str]) -> PublicRequest:
        """Ask for last prices."""
        return PublicRequest("/0/public/Ticker", [("pair", _native_list(symbols))])

    def tickers(self, body: Any, symbols: Sequence[str], *, now: datetime) -> Mapping[str, LastPrice]:
        """Return the last prices; the answer does not say since when they hold."""
        with reading(_NAME, "prices"):
            by_name = {_plain(name): pair for name, pair in body["result"].items()}
            found = ((symbol, by_name.get(_native(symbol))) for symbol in symbols)
            return {symbol: _last_price(pair, now) for symbol, pair in found if pair is not None}

    def refusal(self, status: int, body: Any) -> Refusal | None:
        """Say what an answer without data means; a refusal is in the body, its status is 200."""
        errors = body.get("error") if isinstance(body, dict) else None
        # Entries that begin with W are warnings beside the data.
        texts = [str(text) for text in errors or () if not str(text).startswith("W")]
        for prefixes, meaning in (
            (_UNKNOWN, Refusal.UNKNOWN_SYMBOL),
            (_BUSY, Refusal.BUSY),
            (_DOWN, Refusal.DOWN),
        ):
            if any(text.startswith(prefixes) for text in texts):
                return meaning
        return None if status < 400 and not texts else Refusal.OTHER  # noqa: PLR2004 - client errors


def _native(symbol: str) -> str:
    base, _, quote = symbol.partition("-")
    return _THEIRS.get(base, base) + _THEIRS.get(quote, quote)


def _native_list(symbols: Sequence[str]) -> str:
    return ",".join(_native(symbol) for symbol in symbols)


def _plain(name: str) -> str:
    """Return the short name of a pair: the oldest ones answer as XXBTZUSD to XBTUSD."""
    if len(name) == _LEGACY_LENGTH and name[0] in "XZ" and name[4] in "XZ":
        return name[1:4] + name[5:]
    return name


def _last_price(pair: Mapping[str, Any], now: datetime) -> LastPrice:
    return LastPrice(
        price=positive(pair["c"][0]), bid=positive(pair["b"][0]), ask=positive(pair["a"][0]), at=now
    )


def _instrument(pair: Mapping[str, Any]) -> Instrument | None:
    base, slash, quote = str(pair.get("wsname", "")).partition("/")
    symbol = f"{_OURS.get(base, base)}-{_OURS.get(quote, quote)}"
    if not slash or not is_symbol(symbol):
        return None
    tick = pair.get("tick_size")
    # Few pairs lack these two, which were added later than the rest.
    cost = pair.get("costmin")
    return Instrument(
        symbol,
        lot=Decimal(1).scaleb(-int(pair["lot_decimals"])),
        tick=positive(tick).normalize() if tick else Decimal(1).scaleb(-int(pair["pair_decimals"])),
        min_notional=figure(cost).normalize() if cost else default_instrument(symbol).min_notional,
    )
