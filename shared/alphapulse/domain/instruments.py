"""Symbols, the rounding rules of an instrument, and bar intervals."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Final, Self

from alphapulse.domain.money import round_to_increment
from alphapulse.domain.orders import Side

SYMBOL_PATTERN: Final = r"^[A-Z0-9]{2,15}-[A-Z0-9]{2,15}$"

_SYMBOL: Final = re.compile(r"([A-Z0-9]{2,15})-([A-Z0-9]{2,15})", re.ASCII)
_LONGEST_ECHO: Final = 40
_DOLLAR_LIKE: Final = frozenset({"USD", "USDT", "USDC", "EUR", "GBP", "CHF"})
# Bases quoted in dollars to the cent; every other base may be worth less than a dollar.
_LOTS_OF_LARGE_BASES: Final = {
    "BTC": Decimal("0.00001"),
    "ETH": Decimal("0.0001"),
    "BNB": Decimal("0.001"),
    "SOL": Decimal("0.001"),
    "LTC": Decimal("0.001"),
    "BCH": Decimal("0.001"),
    "AVAX": Decimal("0.01"),
}
_SECONDS: Final = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 14400, "1d": 86400}


class InvalidSymbol(ValueError):
    """A text is no symbol of the form ``BASE-QUOTE``."""


class InvalidInterval(ValueError):
    """A text names no bar interval."""


class Interval(StrEnum):
    """The length of a bar; bars open at whole multiples of it since 1970-01-01 UTC."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    FIFTEEN_MINUTES = "15m"
    HOUR = "1h"
    FOUR_HOURS = "4h"
    DAY = "1d"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the interval a text names.

        Raises
        ------
        InvalidInterval
            Naming the intervals there are.
        """
        if text not in _SECONDS:
            known = ", ".join(_SECONDS)
            raise InvalidInterval(f"interval must be one of {known}, was {text[:_LONGEST_ECHO]!r}")
        return cls(text)

    @property
    def seconds(self) -> int:
        """Length of the bar in seconds."""
        return _SECONDS[self.value]

    def open_of(self, moment: datetime) -> datetime:
        """Return the open time (UTC) of the bar that a moment falls in."""
        return datetime.fromtimestamp(int(moment.timestamp()) // self.seconds * self.seconds, UTC)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A traded pair: what is bought and what it is paid with."""

    base: str
    quote: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``BASE-QUOTE``, each 2 to 15 upper-case letters or digits.

        Raises
        ------
        InvalidSymbol
            Saying what was found.
        """
        match = _SYMBOL.fullmatch(text)
        if match is None:
            raise InvalidSymbol(f"symbol must look like BTC-USDT, was {text[:_LONGEST_ECHO]!r}")
        return cls(base=match.group(1), quote=match.group(2))

    def __str__(self) -> str:
        return f"{self.base}-{self.quote}"


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a venue demands of orders in one symbol.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    lot : Decimal
        Increment of the quantity, in the base currency.
    tick : Decimal
        Increment of the price, in the quote currency.
    min_notional : Decimal
        Smallest quantity times price, in the quote currency.
    """

    symbol: str
    lot: Decimal
    tick: Decimal
    min_notional: Decimal

    @property
    def base(self) -> str:
        """Currency that is bought and sold."""
        return self.symbol.partition("-")[0]

    @property
    def quote(self) -> str:
        """Currency that prices are in."""
        return self.symbol.partition("-")[2]

    def round_quantity(self, quantity: Decimal) -> Decimal:
        """Round a quantity down to the lot."""
        return round_to_increment(quantity, increment=self.lot, rounding=ROUND_DOWN)

    def round_price(self, price: Decimal, side: Side) -> Decimal:
        """Round a limit or stop price to the tick in the tenant's favour: a buy down, a sell up."""
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        return round_to_increment(price, increment=self.tick, rounding=rounding)

    def round_price_against(self, price: Decimal, side: Side) -> Decimal:
        """Round an execution price to the tick against the tenant: a buy up, a sell down."""
        return self.round_price(price, side.opposite)

    def round_to_tick(self, price: Decimal) -> Decimal:
        """Round an observed price to the nearest tick, half to even."""
        return round_to_increment(price, increment=self.tick, rounding=ROUND_HALF_EVEN)

    def meets_min_notional(self, *, quantity: Decimal, price: Decimal) -> bool:
        """Tell whether quantity times price reaches the smallest notional."""
        return quantity * price >= self.min_notional


def default_instrument(symbol: str) -> Instrument:
    """Return the rules for a symbol no venue has published rules for.

    Parameters
    ----------
    symbol : str
        ``BASE-QUOTE``.

    Returns
    -------
    Instrument
        By quote currency: quoted in a fiat currency or one at par with it (USD, USDT, USDC, EUR, GBP, CHF),
        the smallest notional is 1; large bases (BTC, ETH, BNB, SOL, LTC, BCH, AVAX) tick at 0.01 with lots
        from 0.00001 (BTC) to 0.01 (AVAX), every other base ticks at 0.00001 with a lot of 0.01. Quoted in
        anything else (ETH-BTC), the tick is 0.00000001, the lot 0.0001 and the smallest notional 0.00001.

    Raises
    ------
    InvalidSymbol
        When the text is no symbol.
    """
    pair = Symbol.parse(symbol)
    if pair.quote not in _DOLLAR_LIKE:
        return Instrument(
            symbol, lot=Decimal("0.0001"), tick=Decimal("1E-8"), min_notional=Decimal("0.00001")
        )
    lot = _LOTS_OF_LARGE_BASES.get(pair.base)
    if lot is None:
        return Instrument(symbol, lot=Decimal("0.01"), tick=Decimal("0.00001"), min_notional=Decimal(1))
    return Instrument(symbol, lot=lot, tick=Decimal("0.01"), min_notional=Decimal(1))
