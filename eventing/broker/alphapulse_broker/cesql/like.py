"""LIKE patterns, compiled into matchers that never backtrack.

`%` cuts a pattern into segments of fixed length. The first and the last stand at the ends of the text; each
one between is taken where it is found first, which is right because a later place leaves less for the rest.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Matcher = Callable[[str], bool]

_PIECE = re.compile(r"\\[%_]|.", re.DOTALL)


def compile_like(pattern: str) -> Matcher:
    r"""Return the matcher of a pattern: `%` is any run, `_` any character, `\` takes their meaning away."""
    segments = _segments(pattern)
    if any(segment.expression for segment in segments):
        return _any_matcher(segments)
    texts = [segment.text for segment in segments]
    match texts:
        case [whole]:
            return whole.__eq__
        case [start, ""]:
            return lambda text: text.startswith(start)
        case ["", end]:
            return lambda text: text.endswith(end)
        case ["", middle, ""]:
            return lambda text: middle in text
    return _any_matcher(segments)


@dataclass(frozen=True)
class _Segment:
    """A stretch without `%`; `expression` is there when it holds a `_`."""

    text: str
    length: int
    expression: re.Pattern[str] | None

    def stands_at(self, text: str, position: int) -> bool:
        if self.expression is None:
            return text.startswith(self.text, position)
        return self.expression.match(text, position) is not None

    def find(self, text: str, start: int, end: int) -> int:
        if self.expression is None:
            return text.find(self.text, start, end)
        match = self.expression.search(text, start, end)
        return -1 if match is None else match.start()


def _segments(pattern: str) -> list[_Segment]:
    segments: list[list[str]] = [[]]
    for piece in _PIECE.findall(pattern):
        if piece == "%":
            segments.append([])
        else:
            segments[-1].append(piece)
    # `%%` says no more than `%`.
    first, *rest = segments
    middle = [pieces for pieces in rest[:-1] if pieces]
    return [_segment(pieces) for pieces in (first, *middle, *rest[-1:])]


def _segment(pieces: Sequence[str]) -> _Segment:
    text = "".join(piece[-1] for piece in pieces)
    if "_" not in pieces:
        return _Segment(text, len(pieces), None)
    source = "".join("." if piece == "_" else re.escape(piece[-1]) for piece in pieces)
    return _Segment(text, len(pieces), re.compile(source, re.DOTALL))


def _any_matcher(segments: Sequence[_Segment]) -> Matcher:
    first, last, middle = segments[0], segments[-1], segments[1:-1]
    shortest = sum(segment.length for segment in segments)
    if len(segments) == 1:
        return lambda text: len(text) == first.length and first.stands_at(text, 0)

    def like(text: str) -> bool:
        end = len(text) - last.length
        if len(text) < shortest or not first.stands_at(text, 0) or not last.stands_at(text, end):
            return False
        position = first.length
        for segment in middle:
            found = segment.find(text, position, end)
            if found < 0:
                return False
            position = found + segment.length
        return True

    return like
