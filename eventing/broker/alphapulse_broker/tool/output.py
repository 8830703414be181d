"""Rows as aligned columns, results as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson

_KIB = 1024
_MINUTE = 60
_HOUR = 3600
_DAY = 86400
_SOON = 10


def as_json(value: object) -> str:
    """Return a result as indented JSON; times in ISO 8601."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z, default=_plain).decode()


def as_json_line(value: object) -> bytes:
    """Return a result as one line of JSON."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z, default=_plain)


def as_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as aligned columns with a heading, numbers to the right."""
    if not rows:
        return "none"
    cells = [{name: _cell(value) for name, value in row.items()} for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
    right = {name for name in widths if all(isinstance(row[name], int | float) for row in rows)}
    lines = [_line({name: name for name in widths}, widths, right)]
    lines += [_line(row, widths, right) for row in cells]
    return "\n".join(lines)


def as_bytes(size: int) -> str:
    """Return a number of bytes in a unit that people read."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < _KIB:
            break
        value, unit = value / _KIB, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def as_age(seconds: float) -> str:
    """Return a length of time in a unit that people read."""
    for unit, length in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        if seconds >= length:
            return f"{seconds / length:.1f}{unit}"
    return f"{seconds:.1f}s" if seconds < _SOON else f"{seconds:.0f}s"


def _line(row: Mapping[str, str], widths: Mapping[str, int], right: set[str]) -> str:
    cells = [
        row[name].rjust(width) if name in right else row[name].ljust(width) for name, width in widths.items()
    ]
    return "  ".join(cells).rstrip()


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    # A terminal must not be told what to do by an event.
    return "".join(character if character.isprintable() else "?" for character in str(value))


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
