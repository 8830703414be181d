"""Decimal amounts: parsed strictly, computed exactly, written plainly.

The store keeps ``numeric(38, 18)``: at most 20 digits before the point and 18 behind it. Python's default
decimal context keeps 28 significant digits and would round such values silently, so arithmetic on
amounts runs inside :func:`exact`.

Errors
------
InvalidDecimal (ValueError)
    A text that is no plain decimal number, or one the store cannot keep.
"""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Final

MAX_INTEGER_DIGITS: Final = 20
MAX_FRACTION_DIGITS: Final = 18
ZERO: Final = Decimal(0)

#: Currencies a tenant's paper account may settle in, all counted at par with the US dollar.
SETTLEMENT_CURRENCIES: Final = frozenset({"USD", "USDT", "USDC"})
ACCOUNT_CURRENCY: Final = "USD"

_PLAIN_DECIMAL: Final = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_LONGEST_ECHO: Final = 48
# A product of two stored values has at most 76 significant digits; a quotient is rounded half to even.
_EXACT: Final = Context(prec=80, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])


class InvalidDecimal(ValueError):
    """A value is no plain decimal number or does not fit ``numeric(38, 18)``."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency."""

    amount: Decimal
    currency: str


def exact() -> AbstractContextManager[Context]:
    """Return a context in which products of stored amounts are exact.

    Returns
    -------
    AbstractContextManager
        A local decimal context of 80 digits, rounding half to even, that raises on invalid operations.
    """
    return localcontext(_EXACT)


def parse_decimal(value: object, *, name: str = "value") -> Decimal:
    """Parse an amount strictly.

    Parameters
    ----------
    value : object
        A text of plain digits (``"-12.50"``), an ``int`` or a ``Decimal``. A ``float`` is refused, because
        it has already lost the digits the sender wrote.
    name : str
        What the value is, for the message.

    Returns
    -------
    Decimal
        The value with the digits it was written with.

    Raises
    ------
    InvalidDecimal
        For NaN, infinities, exponents, signs other than a leading minus, spaces, more than 20 digits before
        the point or more than 18 behind it.
    """
    text = _as_text(value, name)
    match = _PLAIN_DECIMAL.fullmatch(text)
    if match is None:
        raise InvalidDecimal(f"{name} must be a plain decimal number, was {_echo(text)}")
    integer, fraction = match.group(1).lstrip("0"), match.group(2) or ""
    if len(integer) > MAX_INTEGER_DIGITS:
        raise InvalidDecimal(
            f"{name} must have at most {MAX_INTEGER_DIGITS} digits before the point, had {len(integer)}"
        )
    if len(fraction) > MAX_FRACTION_DIGITS:
        raise InvalidDecimal(
            f"{name} must have at most {MAX_FRACTION_DIGITS} digits behind the point, had {len(fraction)}"
        )
    return Decimal(text)


def parse_positive(value: object, *, name: str = "value") -> Decimal:
    """Parse an amount strictly and require it to be above zero.

    Raises
    ------
    InvalidDecimal
        When :func:`parse_decimal` refuses the value, or it is zero or negative.
    """
    amount = parse_decimal(value, name=name)
    if amount <= 0:
        raise InvalidDecimal(f"{name} must be positive, was {decimal_text(amount)}")
    return amount


def decimal_text(value: Decimal) -> str:
    """Write an amount without exponent, without trailing zeros and without a negative zero.

    Raises
    ------
    InvalidDecimal
        When the value is not finite.
    """
    if not value.is_finite():
        raise InvalidDecimal(f"an amount must be finite, was {value}")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def quantise(
    value: Decimal, *, places: int = MAX_FRACTION_DIGITS, rounding: str = ROUND_HALF_EVEN
) -> Decimal:
    """Round an amount to a number of places, half to even unless another rounding is named."""
    with exact():
        return value.quantize(Decimal(1).scaleb(-places), rounding=rounding)


def round_to_increment(value: Decimal, *, increment: Decimal, rounding: str) -> Decimal:
    """Round an amount to a whole multiple of an increment.

    Raises
    ------
    InvalidDecimal
        When the increment is not positive.
    """
    if increment <= 0:
        raise InvalidDecimal(f"an increment must be positive, was {decimal_text(increment)}")
    with exact():
        return (value / increment).to_integral_value(rounding=rounding) * increment


def at_par_with_usd(currency: str) -> bool:
    """Tell whether a currency counts one to one as US dollars."""
    return currency in SETTLEMENT_CURRENCIES


def amounts_text(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    """Write amounts by currency as the JSON shape ``{currency: "amount"}``, in order of currency."""
    return {currency: decimal_text(amounts[currency]) for currency in sorted(amounts)}


def _as_text(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        # Through Decimal, because Python refuses to write out integers of thousands of digits.
        return format(Decimal(value), "f")
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    found = value if isinstance(value, Decimal) else type(value).__name__
    raise InvalidDecimal(f"{name} must be a plain decimal number written as text, was {found}")


def _echo(text: str) -> str:
    shown = text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + "..."
    return repr(shown)
