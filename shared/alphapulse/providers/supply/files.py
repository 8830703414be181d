"""Supply figures from files: ``supply/<ASSET>.json``.

A JSON object with ``as_of`` (RFC 3339 with an offset) and any of the figures' names; null is absent.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

from alphapulse.domain.agents.evidence import REPLAY_SOURCE
from alphapulse.domain.signals import SignalInput
from alphapulse.providers.errors import BrokenFile
from alphapulse.providers.files import DataFiles, json_object, line_of
from alphapulse.providers.on_chain.figures import figure_of
from alphapulse.providers.source import SourceContext
from alphapulse.providers.supply import figures


class SupplyFiles:
    """Supply figures of a moment in history.

    Parameters
    ----------
    context
        Tells the directory.
    """

    name: Literal["directory"] = "directory"

    def __init__(self, context: SourceContext) -> None:
        self._files = DataFiles[Mapping[str, SignalInput]](context, "supply", ".json", _figures)

    def covers(self, asset: str) -> bool:
        """Tell that a file may be there for any asset."""
        return bool(asset)

    async def fetch(self, asset: str) -> Mapping[str, SignalInput]:
        """Return the figures of an asset's file.

        Raises
        ------
        alphapulse.providers.errors.AssetUnknown, alphapulse.providers.errors.BrokenFile
            There is none, or it cannot be read.
        """
        return await self._files.of(asset)


def _figures(name: str, text: str) -> Mapping[str, SignalInput]:
    document = json_object(name, text)
    as_of = _moment(name, text, document.pop("as_of", None))
    values = {}
    for figure, value in document.items():
        if figure not in figures.NAMES:
            known = ", ".join(figures.NAMES)
            raise BrokenFile(
                name, line_of(text, figure), f"unknown figure {figure[:48]!r}; known are {known}"
            )
        values[figure] = _value(name, text, figure, value)
    found = figures.inputs(values, as_of=as_of, source=REPLAY_SOURCE)
    if not found:
        raise BrokenFile(name, None, "has no figures")
    return found


def _moment(name: str, text: str, value: Any) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (TypeError, ValueError) as error:
        raise BrokenFile(name, line_of(text, "as_of"), "as_of must be a time, as in RFC 3339") from error
    raise BrokenFile(name, line_of(text, "as_of"), "as_of needs an offset, Z for UTC")


def _value(name: str, text: str, figure: str, value: Any) -> float:
    line = line_of(text, figure)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
        raise BrokenFile(name, line, f"{figure} must be a number of at least 0, was {str(value)[:48]!r}")
    if figure in figures.SHARES and value is not None and value > 1:
        raise BrokenFile(name, line, f"{figure} must be at most 1, was {value}")
    return figure_of(value)
