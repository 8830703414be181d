"""Last prices, their age, and the value of currencies in US dollars."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from alphapulse.domain.money import at_par_with_usd, exact

#: Older prices are stale: they allow no new exposure.
PRICE_MAX_AGE: Final = timedelta(seconds=30)

_PAR_QUOTES: Final = ("USD", "USDT", "USDC")


@dataclass(frozen=True, slots=True)
class PriceQuote:
    """A price and when it was true.

    Attributes
    ----------
    price : Decimal
        In the quote currency of the symbol it stands for.
    as_of : datetime or None
        Aware, UTC; none for a rate that holds by definition.
    """

    price: Decimal
    as_of: datetime | None

    def age(self, now: datetime) -> timedelta:
        """Return how long ago the price was true; zero for a rate by definition."""
        return timedelta(0) if self.as_of is None else now - self.as_of

    def is_stale(self, now: datetime, max_age: timedelta = PRICE_MAX_AGE) -> bool:
        """Tell whether the price is older than a maximum age, or as far in the future."""
        return abs(self.age(now)) > max_age


def usd_rate(currency: str, quotes: Mapping[str, PriceQuote]) -> PriceQuote | None:
    """Return what one unit of a currency is worth in US dollars.

    Parameters
    ----------
    currency : str
        One at par (USD, USDT, USDC) is worth exactly 1.
    quotes : mapping of symbol to PriceQuote
        Searched for ``<currency>-USD``, ``-USDT``, ``-USDC``, in this order.

    Returns
    -------
    PriceQuote or None
        None when no quote tells.
    """
    if at_par_with_usd(currency):
        return PriceQuote(Decimal(1), None)
    return next((quotes[name] for par in _PAR_QUOTES if (name := f"{currency}-{par}") in quotes), None)


def usd_price(symbol: str, quotes: Mapping[str, PriceQuote]) -> PriceQuote | None:
    """Return the price of a symbol's base in US dollars, as old as the older of the two quotes it needs.

    Parameters
    ----------
    symbol : str
        ``BASE-QUOTE``.
    quotes : mapping of symbol to PriceQuote
        Holding the symbol itself and, for a quote currency not at par, its dollar rate.

    Returns
    -------
    PriceQuote or None
        None when either is missing.
    """
    quote, rate = quotes.get(symbol), usd_rate(symbol.partition("-")[2], quotes)
    if quote is None or rate is None:
        return None
    moments = [moment for moment in (quote.as_of, rate.as_of) if moment is not None]
    with exact():
        return PriceQuote(quote.price * rate.price, min(moments, default=None))
