"""Trigger filters, compiled once into predicates over an event's attributes."""

import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alphapulse_broker.cesql import InvalidExpression, compile_predicate
from alphapulse_broker.errors import InvalidManifest

Attributes = Mapping[str, str]
Predicate = Callable[[Attributes], bool]
# Takes what a dialect is given, and how many levels of filters may be in it.
Compiler = Callable[[Any, int], Predicate]

_NAME = re.compile(r"[a-z0-9]+")
# As deep as a CESQL expression; every level is a call for every event.
_LEVELS = 64


def compile_filter(filters: Sequence[Mapping[str, Any]], legacy: Mapping[str, str]) -> Predicate:
    """Return the predicate of a trigger.

    Parameters
    ----------
    filters
        The `filters` of a Trigger; when there are any, `legacy` is not looked at.
    legacy
        `filter.attributes`: exact values, where `""` means that the attribute is present.

    Raises
    ------
    InvalidManifest
        A dialect is unknown or malformed.
    """
    if filters:
        return _all([_compile(entry, _LEVELS) for entry in filters])
    return _all([_legacy(_attribute(name), _operand("attributes", value)) for name, value in legacy.items()])


def _compile(entry: object, levels: int) -> Predicate:
    if not levels:
        raise InvalidManifest(f"filters are nested deeper than {_LEVELS} levels")
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise InvalidManifest(f"a filter has exactly one dialect, was {reprlib.repr(entry)}")
    ((dialect, operand),) = entry.items()
    compiler = _DIALECTS.get(dialect)
    if compiler is None:
        raise InvalidManifest(f"unknown filter dialect {dialect!r}; known: {', '.join(_DIALECTS)}")
    return compiler(operand, levels - 1)


def _matcher(dialect: str, test: Callable[[str, str], bool]) -> Compiler:
    def compile_operand(operand: Any, _: int) -> Predicate:
        if not isinstance(operand, Mapping) or not operand:
            found = reprlib.repr(operand)
            raise InvalidManifest(f"dialect {dialect} takes a map of attributes, was {found}")
        return _all(
            [_test(_attribute(name), _operand(dialect, value), test) for name, value in operand.items()]
        )

    return compile_operand


def _test(name: str, wanted: str, test: Callable[[str, str], bool]) -> Predicate:
    if not wanted:
        raise InvalidManifest(f"the value compared with attribute {name} must not be empty")

    def predicate(attributes: Attributes) -> bool:
        found = attributes.get(name)
        return found is not None and test(found, wanted)

    return predicate


def _legacy(name: str, wanted: str) -> Predicate:
    if wanted == "":
        return lambda attributes: name in attributes
    return lambda attributes: attributes.get(name) == wanted


def _group(dialect: str, combine: Callable[[list[Predicate]], Predicate]) -> Compiler:
    def compile_operand(operand: Any, levels: int) -> Predicate:
        if not isinstance(operand, list) or not operand:
            found = reprlib.repr(operand)
            raise InvalidManifest(f"dialect {dialect} takes a list of filters, was {found}")
        return combine([_compile(entry, levels) for entry in operand])

    return compile_operand


def _not(operand: Any, levels: int) -> Predicate:
    inner = _compile(operand, levels)
    return lambda attributes: not inner(attributes)


def _cesql(operand: Any, _: int) -> Predicate:
    try:
        return compile_predicate(_operand("cesql", operand))
    except InvalidExpression as error:
        raise InvalidManifest(f"cesql: {error}") from error


def _all(predicates: list[Predicate]) -> Predicate:
    if not predicates:
        return lambda _: True
    if len(predicates) == 1:
        return predicates[0]
    return lambda attributes: all(predicate(attributes) for predicate in predicates)


def _any(predicates: list[Predicate]) -> Predicate:
    return lambda attributes: any(predicate(attributes) for predicate in predicates)


def _attribute(name: object) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        found = reprlib.repr(name)
        raise InvalidManifest(f"attribute names are lower-case letters and digits, was {found}")
    return name


def _operand(dialect: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidManifest(f"{dialect} takes text; quote the value {reprlib.repr(value)}")
    return value


_DIALECTS: dict[str, Compiler] = {
    "exact": _matcher("exact", str.__eq__),
    "prefix": _matcher("prefix", str.startswith),
    "suffix": _matcher("suffix", str.endswith),
    "all": _group("all", _all),
    "any": _group("any", _any),
    "not": _not,
    "cesql": _cesql,
}
