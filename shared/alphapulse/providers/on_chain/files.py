"""On-chain series from files: ``on_chain/<ASSET>.csv``.

The first line names the columns: ``day`` and any of the figures' names. Every other line is a day
(``YYYY-MM-DD``, ascending) and its figures as plain numbers; an empty cell is a hole.
"""

import asyncio
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from alphapulse.domain.agents.evidence import REPLAY_SOURCE, DailySeries
from alphapulse.providers.errors import BrokenFile
from alphapulse.providers.files import DataFiles
from alphapulse.providers.on_chain import figures
from alphapulse.providers.source import SourceContext

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FIGURE: Final = re.compile(r"\d{1,40}(?:\.\d{0,40})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_LONGEST_ECHO: Final = 48

_Table = Mapping[str, Mapping[dt.date, float]]


@dataclass(frozen=True, slots=True)
class _Made:
    table: _Table
    day: dt.date
    series: Mapping[str, DailySeries]


class OnChainFiles:
    """A replay of on-chain history.

    Parameters
    ----------
    context
        Tells the directory.
    """

    name: Literal["directory"] = "directory"

    def __init__(self, context: SourceContext) -> None:
        self._files = DataFiles[_Table](context, "on_chain", ".csv", _table)
        self._clock = context.clock
        self._made: dict[str, _Made] = {}

    def covers(self, asset: str) -> bool:
        """Tell that a file may be there for any asset."""
        return bool(asset)

    async def fetch(self, asset: str) -> Mapping[str, DailySeries]:
        """Return the series of an asset's file.

        Raises
        ------
        alphapulse.providers.errors.AssetUnknown, alphapulse.providers.errors.BrokenFile
            There is none, or it cannot be read.
        """
        table, now = await self._files.of(asset), self._clock()
        made = self._made.get(asset)
        # Years of series take a tenth of a second; they change with the file, and when a day ends.
        if made is None or made.table is not table or made.day != now.date():
            series = await asyncio.to_thread(figures.series_of, table, source=REPLAY_SOURCE, now=now)
            made = self._made[asset] = _Made(table, now.date(), series)
        return made.series


def _table(name: str, text: str) -> _Table:
    lines = text.splitlines()
    columns = _columns(name, lines[0] if lines else "")
    table: dict[str, dict[dt.date, float]] = {column: {} for column in columns}
    before = dt.date.min
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split(",")
        if len(cells) != len(columns) + 1:
            raise BrokenFile(name, number, f"must have {len(columns) + 1} columns, has {len(cells)}")
        day = _day(name, number, cells[0].strip())
        if day <= before:
            raise BrokenFile(name, number, f"day {day} does not come after {before}")
        before = day
        for column, cell in zip(columns, cells[1:], strict=True):
            if cell.strip():
                table[column][day] = _figure(name, number, column, cell.strip())
    if before == dt.date.min:
        raise BrokenFile(name, None, "has no rows")
    return table


def _columns(name: str, header: str) -> list[str]:
    columns = [column.strip() for column in header.split(",")]
    if columns[0] != "day":
        raise BrokenFile(name, 1, f"the first column must be day, was {columns[0][:_LONGEST_ECHO]!r}")
    for column in columns[1:]:
        if column not in figures.NAMES:
            known = ", ".join(figures.NAMES)
            raise BrokenFile(name, 1, f"unknown column {column[:_LONGEST_ECHO]!r}; known are {known}")
    if len(set(columns)) != len(columns) or len(columns) == 1:
        raise BrokenFile(name, 1, "must have day and at least one figure, each once")
    return columns[1:]


def _day(name: str, line: int, cell: str) -> dt.date:
    try:
        if _DAY.fullmatch(cell):
            return dt.date.fromisoformat(cell)
    except ValueError as error:
        raise BrokenFile(name, line, f"there is no day {cell}") from error
    raise BrokenFile(name, line, f"day must be YYYY-MM-DD, was {cell[:_LONGEST_ECHO]!r}")


def _figure(name: str, line: int, column: str, cell: str) -> float:
    if _FIGURE.fullmatch(cell) is None:
        raise BrokenFile(name, line, f"{column} must be a plain number, was {cell[:_LONGEST_ECHO]!r}")
    return float(cell)
