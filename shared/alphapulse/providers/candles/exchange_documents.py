"""How an exchange's instruments and last prices are kept in the cache that all processes share."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alphapulse.domain.instruments import Instrument
from alphapulse.domain.money import decimal_text, parse_decimal, parse_positive
from alphapulse.providers.candles.public_market import LastPrice


class InstrumentsCodec:
    """Instruments by symbol; implements `Codec`."""

    def encode(self, value: Mapping[str, Instrument]) -> Any:
        """Return a JSON document."""
        return {
            symbol: [decimal_text(rules.lot), decimal_text(rules.tick), decimal_text(rules.min_notional)]
            for symbol, rules in value.items()
        }

    def decode(self, document: Any) -> Mapping[str, Instrument]:
        """Return the instruments of a document.

        Raises
        ------
        LookupError, TypeError, ValueError, AttributeError
            It holds none.
        """
        return {
            symbol: Instrument(
                symbol,
                lot=parse_positive(lot, name="lot"),
                tick=parse_positive(tick, name="tick"),
                min_notional=parse_decimal(least, name="min_notional"),
            )
            for symbol, (lot, tick, least) in document.items()
        }


class PricesCodec:
    """Last prices by symbol; implements `Codec`."""

    def encode(self, value: Mapping[str, LastPrice]) -> Any:
        """Return a JSON document."""
        return {
            symbol: [
                decimal_text(last.price),
                decimal_text(last.bid),
                decimal_text(last.ask),
                last.at.isoformat(),
            ]
            for symbol, last in value.items()
        }

    def decode(self, document: Any) -> Mapping[str, LastPrice]:
        """Return the prices of a document.

        Raises
        ------
        LookupError, TypeError, ValueError, AttributeError
            It holds none.
        """
        return {
            symbol: LastPrice(
                price=parse_positive(price, name="price"),
                bid=parse_positive(bid, name="bid"),
                ask=parse_positive(ask, name="ask"),
                at=_aware(at),
            )
            for symbol, (price, bid, ask, at) in document.items()
        }


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    return moment
