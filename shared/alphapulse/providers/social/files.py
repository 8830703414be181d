"""Posts from files: ``posts/<ASSET>.jsonl``, one JSON object per line.

Each has ``id, network, author, posted_at`` (RFC 3339) and ``text``, and may have ``engagement`` (0) and
``links`` (0), the number of links beside the text. Empty lines are skipped. The text is scored and given up
as that of a live post is; authors are hashed under a key that is always the same, so that the same file gives
the same sample.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from alphapulse.domain.agents.evidence import REPLAY_SOURCE, PostSample
from alphapulse.providers.errors import BrokenFile
from alphapulse.providers.files import DataFiles
from alphapulse.providers.social.reading import UNREADABLE, count_of, moment_of_text, text_of
from alphapulse.providers.social.scoring import RawPost, score
from alphapulse.providers.source import SourceContext

_KEY: Final = b"posts of files"
_FIELDS: Final = ("id", "network", "author", "posted_at", "text")
_OPTIONAL: Final = ("engagement", "links")


class PostFiles:
    """A replay of posts.

    Parameters
    ----------
    context
        Tells the directory.
    """

    name: Literal["directory"] = "directory"

    def __init__(self, context: SourceContext) -> None:
        self._clock = context.clock
        self._files = DataFiles[PostSample](context, "posts", ".jsonl", self._sample)

    def covers(self, asset: str) -> bool:
        """Tell that a file may be there for any asset."""
        return bool(asset)

    async def fetch(self, asset: str) -> PostSample:
        """Return the posts of an asset's file.

        Raises
        ------
        alphapulse.providers.errors.AssetUnknown, alphapulse.providers.errors.BrokenFile
            There is none, or it cannot be read.
        """
        return replace(await self._files.of(asset), retrieved_at=self._clock())

    def _sample(self, name: str, text: str) -> PostSample:
        # Not splitlines: a text may hold a line separator of Unicode.
        posts = [
            _post(name, number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()
        ]
        return PostSample(score(posts, key=_KEY), REPLAY_SOURCE, self._clock())


def _post(name: str, line: int, text: str) -> RawPost:
    try:
        item = json.loads(text)
    except ValueError as error:
        raise BrokenFile(name, line, "is no JSON") from error
    except RecursionError as error:
        raise BrokenFile(name, line, "is nested too deep") from error
    if not isinstance(item, dict):
        raise BrokenFile(name, line, f"must be a JSON object, was {type(item).__name__}")
    unknown = sorted(item.keys() - {*_FIELDS, *_OPTIONAL})
    missing = [field for field in _FIELDS if field not in item]
    if unknown or missing:
        raise BrokenFile(name, line, f"must have {', '.join(_FIELDS)} and may have {', '.join(_OPTIONAL)}")
    return _raw(name, line, item)


def _raw(name: str, line: int, item: Mapping[str, Any]) -> RawPost:
    values: dict[str, Any] = {}
    for field, read in (
        *((field, text_of) for field in ("id", "network", "author", "text")),
        ("posted_at", moment_of_text),
        *((field, count_of) for field in _OPTIONAL),
    ):
        try:
            values[field] = read(item.get(field, 0))
        except UNREADABLE as error:
            raise BrokenFile(name, line, f"{field} cannot be read: {error}") from error
    links = int(values.pop("links"))
    return RawPost(**values, attached_links=max(links, 0))
