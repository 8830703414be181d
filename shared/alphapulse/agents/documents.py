"""Evidence as JSON and back, without losing a bit of any figure.

The shape follows the dataclasses' own fields, so that a field that is added to them is kept without a change
here. Finite floats are JSON numbers in their shortest exact form; a hole in an array is null.
"""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import numpy as np
import orjson

from alphapulse.domain.agents.evidence import Evidence

_NOT_FINITE: Final = "not_finite"

Reader = Callable[[Any], Any]


class MalformedDocument(ValueError):
    """A document does not have the shape of what it is to be read as."""


def to_json(value: object) -> bytes:
    """Return a dataclass, or a mapping or tuple of such, as JSON; the same value gives the same bytes."""
    return orjson.dumps(_plain(value), option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS)


def from_json(document: bytes, kind: Any) -> Any:
    """Return the value of type `kind` that `document` was made from.

    Raises
    ------
    MalformedDocument
        The document is of something else.
    """
    try:
        return _reader(kind)(orjson.loads(document))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedDocument(f"not a document of {kind}: {type(error).__name__}") from error


def field_types() -> Mapping[str, Any]:
    """Return the type of each field of evidence."""
    return get_type_hints(Evidence)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_NOT_FINITE: str(float(value))}
    if value is None or isinstance(value, (str, int, dt.date)):
        return value
    return _plain_container(value)


def _plain_container(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # orjson writes holes as null, and infinities too, which are no holes.
        infinite = bool(np.isinf(value).any())
        return [_plain(item) for item in value.tolist()] if infinite else np.ascontiguousarray(value)
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return value if _is_plain(value) else [_plain(item) for item in value]
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    raise TypeError(f"evidence holds a {type(value).__name__}, which has no JSON form")


def _is_plain(items: tuple[Any, ...] | list[Any]) -> bool:
    # Thousands of days and bar times, which orjson writes itself.
    return all(type(item) in {dt.date, dt.datetime} for item in items)


@cache
def _reader(kind: Any) -> Reader:
    """Return what reads a value of a type."""
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        return _union(get_args(kind))
    if origin is tuple:
        each = _reader(get_args(kind)[0])
        return lambda items: tuple(each(item) for item in items)
    if origin is np.ndarray:
        return _array
    if isinstance(origin, type) and issubclass(origin, Mapping):
        of_key, of_item = (_reader(part) for part in get_args(kind))
        return lambda items: {of_key(key): of_item(item) for key, item in items.items()}
    if is_dataclass(kind):
        return _record(kind)
    return _scalar(kind)


def _union(kinds: tuple[Any, ...]) -> Reader:
    others = [kind for kind in kinds if kind is not NoneType]
    # Of several scalars JSON itself tells which it is.
    read = _reader(others[0]) if len(others) == 1 else _figure
    return lambda value: None if value is None else read(value)


def _record(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = {item.name: _reader(hints[item.name]) for item in fields(kind)}

    def read(document: dict[str, Any]) -> Any:
        # A field that the document is older than has the default it was added with.
        return kind(**{name: readers[name](value) for name, value in document.items()})

    return read


def _scalar(kind: Any) -> Reader:
    if kind is dt.datetime:
        return dt.datetime.fromisoformat
    if kind is dt.date:
        return dt.date.fromisoformat
    if kind is float or kind is int:
        return _figure
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return _same


def _array(items: list[Any]) -> Any:
    return np.array([_figure(item) for item in items], dtype=np.float64)


def _figure(value: Any) -> Any:
    return float(value[_NOT_FINITE]) if isinstance(value, dict) else value


def _same(value: Any) -> Any:
    return value
