"""The types of CESQL, as Python's `str`, `int` and `bool`, and the casts between them.

A type's zero value is what calling it gives: `""`, `0`, `False`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from alphapulse_broker.cesql.errors import ErrorKind, EvaluationFailed, shown
from alphapulse_broker.cesql.syntax import MAX_DIGITS, MAX_INTEGER, MIN_INTEGER, Value

Type = type[str] | type[int] | type[bool]
Cast = Callable[[Value], Any]

# What works on the characters of a String takes no longer one. A segment of a pattern that holds `_` is tried
# at each place of the text, so this and the length of an expression bound the time of one evaluation.
MAX_TEXT = 16_384

_NAMES: Mapping[Type, str] = {str: "String", int: "Integer", bool: "Boolean"}


def to_string(value: Value) -> str:
    """Return a value as String; this cast cannot fail."""
    if value.__class__ is str:
        return value
    if value.__class__ is bool:
        return "true" if value else "false"
    return str(value)


def to_text(value: Value) -> str:
    """Return a value as a String to be worked on; one that is too long is a generic error."""
    text = to_string(value)
    if len(text) > MAX_TEXT:
        reason = f"LIKE and functions take texts of at most {MAX_TEXT} characters, found {len(text)}"
        raise EvaluationFailed(ErrorKind.GENERIC, reason)
    return text


def to_integer(value: Value) -> int:
    """Return a value as Integer; a String has to be a decimal number of 32 bits."""
    if value.__class__ is not str:
        return int(value)
    digits = value[1:] if value.startswith(("+", "-")) else value
    decimal = len(value) <= MAX_TEXT and digits.isascii() and digits.isdecimal()
    # Compared by length first: the value of a very long run of digits is never computed.
    if decimal and len(significant := digits.lstrip("0")) <= MAX_DIGITS:
        number = int(significant or "0")
        number = -number if value[0] == "-" else number
        if MIN_INTEGER <= number <= MAX_INTEGER:
            return number
    raise EvaluationFailed(ErrorKind.CAST, f"{shown(value)} is no Integer")


def to_boolean(value: Value) -> bool:
    """Return a value as Boolean; a String has to be `true` or `false` in any case."""
    if value.__class__ is not str:
        return bool(value)
    # No longer than what could tell it from "false", however long it is.
    lowered = value[:6].lower()
    if lowered == "true":
        return True
    if lowered == "false":
        return False
    raise EvaluationFailed(ErrorKind.CAST, f"{shown(value)} is no Boolean")


CASTS: Mapping[Type, Cast] = {str: to_string, int: to_integer, bool: to_boolean}


def name_of(kind: Type) -> str:
    """Return what the specification calls a type."""
    return _NAMES[kind]
