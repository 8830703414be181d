"""The sets of IN: elements are compared in the type of the left operand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alphapulse_broker.cesql.casts import CASTS, to_string
from alphapulse_broker.cesql.syntax import Value

Event = Mapping[str, Value]
Element = Value | Callable[[Event], Any]
Contains = Callable[[Value, Event], bool]


def membership(elements: Sequence[Element]) -> Contains:
    """Return the test of a set.

    Parameters
    ----------
    elements
        Constants, and closures for what depends on the event; taken from left to right until one is equal.
    """

    def contains(value: Value, event: Event) -> bool:
        cast = CASTS[type(value)]
        return any(cast(element(event) if callable(element) else element) == value for element in elements)

    constants = [element for element in elements if not callable(element)]
    if len(constants) < len(elements):
        return contains
    # Every constant has a String, so for a String on the left the set can be made beforehand.
    strings = frozenset(map(to_string, constants))
    return lambda value, event: value in strings if value.__class__ is str else contains(value, event)
