"""The types of CESQL, as Python's `str`, `int` and `bool`, and the casts between them.

A type's zero value is what calling it gives: `""`, `0`, `False`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from alphapulse_broker.cesql.errors import ErrorKind, EvaluationFailed, shown
from alphapulse_broker.cesql.parser import MAX_INTEGER, MIN_INTEGER
from alphapulse_broker.cesql.syntax import Value

Type = type[str] | type[int] | type[bool]
Cast = Callable[[Value], Any]

_NAMES: Mapping[Type, str] = {str: "String", int: "Integer", bool: "Boolean"}
_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,10})")


def to_string(value: Value) -> str:
    """Return a value as String; this cast cannot fail."""
    if value.__class__ is str:
        return value
    if value.__class__ is bool:
        return "true" if value else "false"
    return str(value)


def to_integer(value: Value) -> int:
    """Return a value as Integer; a String has to be a decimal number of 32 bits."""
    if value.__class__ is not str:
        return int(value)
    match = _INTEGER.fullmatch(value)
    if match is not None:
        number = -int(match[2]) if match[1] == "-" else int(match[2])
        if MIN_INTEGER <= number <= MAX_INTEGER:
            return number
    raise EvaluationFailed(ErrorKind.CAST, f"{shown(value)} is no Integer")


def to_boolean(value: Value) -> bool:
    """Return a value as Boolean; a String has to be `true` or `false` in any case."""
    if value.__class__ is not str:
        return bool(value)
    lowered = value.lower()
    if lowered == "true":
        return True
    if lowered == "false":
        return False
    raise EvaluationFailed(ErrorKind.CAST, f"{shown(value)} is no Boolean")


CASTS: Mapping[Type, Cast] = {str: to_string, int: to_integer, bool: to_boolean}


def name_of(kind: Type) -> str:
    """Return what the specification calls a type."""
    return _NAMES[kind]
