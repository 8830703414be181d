"""Figures, times and bars of an exchange's public answers; use within `reading(source, what)`."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from alphapulse.domain.candles import Candle, InvalidCandle
from alphapulse.domain.instruments import SYMBOL_PATTERN, Interval
from alphapulse.domain.money import MAX_FRACTION_DIGITS, MAX_INTEGER_DIGITS, quantise

_TOO_LARGE: Final = Decimal(10) ** MAX_INTEGER_DIGITS
_SYMBOL: Final = re.compile(SYMBOL_PATTERN, re.ASCII)


def is_symbol(text: str) -> bool:
    """Tell whether a pair of an exchange has a name that we can have too."""
    return _SYMBOL.fullmatch(text) is not None


def figure(value: object) -> Decimal:
    """Return a price or volume that was written as text, rounded half to even to the places that are stored.

    Raises
    ------
    TypeError
        It is no text: a binary float has already lost digits.
    ValueError, ArithmeticError
        It is no number, negative, or too large.
    """
    if not isinstance(value, str):
        raise TypeError("a figure must be text")
    number = Decimal(value)
    if not number.is_finite() or number < 0 or number >= _TOO_LARGE:
        raise ValueError("a figure must be a finite number, not negative")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_FRACTION_DIGITS:
        return quantise(number)
    return number


def positive(value: object) -> Decimal:
    """Return a figure above zero.

    Raises
    ------
    TypeError, ValueError, ArithmeticError
        As :func:`figure`, and for zero.
    """
    number = figure(value)
    if not number:
        raise ValueError("a figure must be above zero")
    return number


def moment(seconds: object) -> datetime:
    """Return the moment that many seconds after 1970; a number of another kind is refused."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise TypeError("a time must be a whole number")
    return datetime.fromtimestamp(seconds, UTC)


def milliseconds(count: Any) -> datetime:
    """Return the moment that many milliseconds after 1970, to the millisecond."""
    seconds, rest = divmod(count, 1000)
    return moment(seconds).replace(microsecond=rest * 1000)


def bar(interval: Interval, opened: datetime, figures: Sequence[object]) -> Candle | None:
    """Make a bar of open, high, low, close and volume; None when these contradict each other.

    Such a bar is a gap: it happens on real exchanges, and one must not keep a whole series away.

    Raises
    ------
    ValueError
        `opened` is not the open of a bar of the interval.
    """
    if interval.open_of(opened) != opened:
        raise ValueError("a bar must open at a whole interval")
    opening, high, low, close, volume = (figure(value) for value in figures)
    candle = Candle(opened, opening, high, low, close, volume)
    try:
        candle.validate()
    except InvalidCandle:
        return None
    return candle
