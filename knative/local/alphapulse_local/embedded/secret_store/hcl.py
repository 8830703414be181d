"""The part of HCL that policies are written in."""

import re
from collections.abc import Iterator
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
    |(?P<text>"(?:[^"\\\n]|\\.)*")
    |(?P<word>[A-Za-z_][A-Za-z0-9_-]*)
    |(?P<number>-?\d+)
    |(?P<mark>[{}\[\]=,])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"true": True, "false": False}


class InvalidHcl(ValueError):
    """The text is not what policies are written in."""


def blocks(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (kind, label, attributes) of every block `kind "label" { ... }`.

    Raises
    ------
    InvalidHcl
        Anything else stands there.
    """
    reader = _Reader(text)
    found = []
    while not reader.at_end:
        kind, label = reader.take("word"), reader.take("text")
        found.append((kind, label, reader.body()))
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0

    @property
    def at_end(self) -> bool:
        return self._next == len(self._tokens)

    def take(self, kind: str, value: str | None = None) -> str:
        found, text = self._peek()
        if found != kind or (value is not None and text != value):
            raise InvalidHcl(f"expected {value or kind}, found {text or 'the end'}")
        self._next += 1
        return text

    def body(self) -> dict[str, Any]:
        """Read `{ name = value ... }`; names may be quoted, and separated by commas."""
        self.take("mark", "{")
        attributes: dict[str, Any] = {}
        while self._peek() != ("mark", "}"):
            kind, name = self._peek()
            if kind not in ("word", "text"):
                raise InvalidHcl(f"expected a name, found {name or 'the end'}")
            self._next += 1
            if self._peek() == ("mark", "="):
                self._next += 1
            elif self._peek() != ("mark", "{"):
                raise InvalidHcl(f"expected a value of {name}")
            attributes[name] = self._value()
            if self._peek() == ("mark", ","):
                self._next += 1
        self.take("mark", "}")
        return attributes

    def _value(self) -> Any:
        kind, text = self._peek()
        if (kind, text) == ("mark", "{"):
            return self.body()
        if (kind, text) == ("mark", "["):
            return self._list()
        self._next += 1
        if kind == "text":
            return text
        if kind == "number":
            return int(text)
        if kind == "word" and text in _WORDS:
            return _WORDS[text]
        raise InvalidHcl(f"expected a value, found {text or 'the end'}")

    def _list(self) -> list[Any]:
        self.take("mark", "[")
        values = []
        while self._peek() != ("mark", "]"):
            values.append(self._value())
            if self._peek() == ("mark", ","):
                self._next += 1
        self.take("mark", "]")
        return values

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidHcl(f"unexpected {text[position]!r}")
        position = match.end()
        kind, value = str(match.lastgroup), match.group()
        if kind == "text":
            yield kind, re.sub(r"\\(.)", r"\1", value[1:-1])
        elif kind != "space":
            yield kind, value
