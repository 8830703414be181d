"""The tokens of CESQL."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from alphapulse_broker.cesql.errors import InvalidExpression, shown

KEYWORDS = frozenset({"AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE"})

INTEGER, TEXT, NAME, END = "integer", "text", "name", "end"

_SPACE = re.compile(r"[ \t\r\n]*")
# In a text a backslash always takes the next character with it, so that the escaped quote does not end it.
_TOKEN = re.compile(
    r"""(?P<word>[A-Za-z0-9_]+)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<symbol><=|>=|<>|!=|[-+*/%=<>(),])""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token; `kind` is INTEGER, TEXT, NAME, END, a keyword in upper case or the symbol itself."""

    kind: str
    source: str
    position: int

    @property
    def end(self) -> int:
        """Position after the last character."""
        return self.position + len(self.source)

    def found(self) -> str:
        """Return what a message says was found here."""
        return "the end of the expression" if self.kind == END else shown(self.source)


def tokenize(text: str) -> Iterator[Token]:
    """Yield the tokens of an expression; the last one is END.

    Raises
    ------
    InvalidExpression
        Naming the first character that begins no token.
    """
    position = _skip_space(text, 0)
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidExpression(text, position, _refusal(text[position]))
        yield Token(_kind(match), match[0], position)
        position = _skip_space(text, match.end())
    yield Token(END, "", position)


def unquoted(token: Token) -> str:
    r"""Return the value of a TEXT token: without its quotes, `\` before that quote taken away."""
    quote = token.source[0]
    return token.source[1:-1].replace(f"\\{quote}", quote)


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()


def _kind(match: re.Match[str]) -> str:
    if match.lastgroup == "symbol":
        return match[0]
    if match.lastgroup == "text":
        return TEXT
    word = match[0].upper()
    if word in KEYWORDS:
        return word
    return INTEGER if word.isdecimal() else NAME


def _refusal(character: str) -> str:
    if character in "'\"":
        return f"the text that begins here has no closing {character}"
    return f"expected a value or an operator, found {shown(character)}"
