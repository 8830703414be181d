"""Data files: read when they change, and what is wrong with them said with file and line."""

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from alphapulse.providers.errors import AssetUnknown, BrokenFile, NotConfigured, ProviderError
from alphapulse.providers.source import SourceContext

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class _Read(Generic[Parsed]):
    stamp: tuple[int, int]
    outcome: Parsed | ProviderError


class DataFiles(Generic[Parsed]):
    """The files ``<folder>/<ASSET><suffix>`` below the directory of data files.

    A file is read outside the event loop, kept, and read again when its size or time of modification
    changes.

    Parameters
    ----------
    context
        Tells the directory.
    folder, suffix
        Of the files.
    parse
        ``(name, text) -> Parsed``; raises :class:`BrokenFile` with that name.

    Raises
    ------
    NotConfigured
        There is no such directory.
    """

    def __init__(
        self, context: SourceContext, folder: str, suffix: str, parse: Callable[[str, str], Parsed]
    ) -> None:
        if not context.directory.is_dir():
            raise NotConfigured("the directory of data files does not exist")
        self._directory = context.directory
        self._folder = folder
        self._suffix = suffix
        self._parse = parse
        self._lock = threading.Lock()
        self._read: dict[str, _Read[Parsed]] = {}

    async def of(self, asset: str) -> Parsed:
        """Return what the file of an asset says.

        Raises
        ------
        AssetUnknown
            There is no such file.
        BrokenFile
            It cannot be read; names file and line.
        """
        outcome = await asyncio.to_thread(self._outcome, f"{self._folder}/{asset}{self._suffix}")
        if isinstance(outcome, ProviderError):
            raise outcome.again()
        return outcome

    def _outcome(self, name: str) -> Parsed | ProviderError:
        path = self._directory / name
        with self._lock:
            try:
                status = path.stat()
            except OSError:
                return AssetUnknown(f"there is no data file {name}")
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._read.get(name)
            if known is None or known.stamp != stamp:
                known = self._read[name] = _Read(stamp, self._parsed(name, path))
            return known.outcome

    def _parsed(self, name: str, path: Path) -> Parsed | ProviderError:
        try:
            return self._parse(name, path.read_text(encoding="utf-8-sig"))
        except BrokenFile as error:
            return error
        except OSError as error:
            return BrokenFile(name, None, f"cannot be read ({error.strerror})")
        except UnicodeDecodeError:
            return BrokenFile(name, None, "is not text in UTF-8")


def json_object(name: str, text: str) -> dict[str, Any]:
    """Return the JSON object of a file.

    Raises
    ------
    BrokenFile
        It is none.
    """
    try:
        # Not orjson: this one tells the line.
        document = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise BrokenFile(name, error.lineno, f"is no JSON: {error.msg}") from error
    except ValueError as error:
        raise BrokenFile(name, None, str(error)) from error
    if not isinstance(document, dict):
        raise BrokenFile(name, 1, f"must be a JSON object, was {type(document).__name__}")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON; leave a figure out, or write null")


def line_of(text: str, key: str) -> int | None:
    """Return the line of a JSON text that first names a key."""
    quoted = json.dumps(key)
    return next((number for number, line in enumerate(text.splitlines(), start=1) if quoted in line), None)
