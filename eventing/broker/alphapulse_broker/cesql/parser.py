"""CESQL's grammar, by recursive descent with precedence climbing.

From tight to loose: calls; NOT and - ; LIKE, IN; * / % ; + - ; comparisons; AND, OR, XOR. Operators of equal
precedence group from the left, AND, OR and XOR among them: the specification gives these one precedence.
"""

import re
from collections.abc import Sequence
from typing import Final

from alphapulse_broker.cesql.errors import InvalidExpression, shown
from alphapulse_broker.cesql.syntax import (
    MAX_DIGITS,
    MAX_INTEGER,
    MIN_INTEGER,
    Attribute,
    Binary,
    Call,
    Exists,
    In,
    Like,
    Literal,
    Logic,
    Node,
    Unary,
)
from alphapulse_broker.cesql.tokens import END, INTEGER, NAME, TEXT, Token, tokenize, unquoted

# Far above any filter a person writes, and far below what would exhaust the interpreter's stack: a level
# costs four frames to parse and at most three to evaluate.
MAX_LENGTH = 4096
MAX_HEIGHT = 64

_LOGIC, _COMPARISON, _SUM, _PRODUCT = 1, 2, 3, 4
_PRECEDENCE: Final = {
    **dict.fromkeys(("AND", "OR", "XOR"), _LOGIC),
    **dict.fromkeys(("=", "!=", "<>", "<", "<=", ">", ">="), _COMPARISON),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/", "%"), _PRODUCT),
}
_ATTRIBUTE = re.compile(r"[A-Za-z0-9]+")
_FUNCTION = re.compile(r"[A-Za-z][A-Za-z_]*")


def parse(text: str) -> Node:
    """Return the syntax tree of an expression.

    Raises
    ------
    InvalidExpression
        With the place and what was expected there, also where a limit of length or depth is exceeded.
    """
    if len(text) > MAX_LENGTH:
        reason = f"an expression has at most {MAX_LENGTH} characters, this one has {len(text)}"
        raise InvalidExpression(text, MAX_LENGTH, reason)
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokenize(text))
        self._next = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._expression()
        if self._token.kind != END:
            raise self._expected("an operator or the end of the expression")
        return node

    def _expression(self, loosest: int = _LOGIC) -> Node:
        left = self._matched()
        while (precedence := _PRECEDENCE.get(self._token.kind, 0)) >= loosest:
            operator = self._advance()
            right = self._expression(precedence + 1)
            left = self._combined(operator, left, right)
        return left

    def _combined(self, operator: Token, left: Node, right: Node) -> Node:
        kind = "!=" if operator.kind == "<>" else operator.kind
        if _PRECEDENCE[kind] == _LOGIC:
            return self._run(kind, operator, left, right)
        height = self._height(operator, (left, right))
        return Binary(kind, left, right, position=operator.position, height=height)

    def _run(self, kind: str, operator: Token, left: Node, right: Node) -> Node:
        # A run of the same operator is one node: a long list of alternatives must not make a deep tree.
        if isinstance(left, Logic) and left.operator == kind:
            height = max(left.height, self._height(operator, (right,)))
            return Logic(kind, (*left.operands, right), position=left.position, height=height)
        height = self._height(operator, (left, right))
        return Logic(kind, (left, right), position=operator.position, height=height)

    def _matched(self) -> Node:
        node = self._unary()
        while self._token.kind in {"LIKE", "IN", "NOT"}:
            token = self._token
            negated = self._accept("NOT")
            if self._accept("LIKE"):
                pattern = unquoted(self._take(TEXT, "a quoted pattern"))
                node = Like(
                    node, pattern, negated, position=token.position, height=self._height(token, (node,))
                )
            elif self._accept("IN"):
                elements = self._set()
                height = self._height(token, (node, *elements))
                node = In(node, elements, negated, position=token.position, height=height)
            else:
                raise self._expected("LIKE or IN")
        return node

    def _unary(self) -> Node:
        token = self._token
        if token.kind in {"-", "+"} and self._sign_of_integer():
            self._advance()
            return self._integer(self._advance(), token)
        if token.kind not in {"-", "NOT"}:
            return self._primary()
        self._advance()
        self._descend(token)
        operand = self._unary()
        self._depth -= 1
        height = self._height(token, (operand,))
        return Unary(token.kind, operand, position=token.position, height=height)

    def _primary(self) -> Node:
        token = self._token
        match token.kind:
            case "integer":
                return self._integer(self._advance(), None)
            case "text":
                return Literal(unquoted(self._advance()), position=token.position)
            case "TRUE" | "FALSE":
                return Literal(self._advance().kind == "TRUE", position=token.position)
            case "EXISTS":
                self._advance()
                name = self._attribute(self._take(NAME, "the name of an attribute"))
                return Exists(name, position=token.position)
            case "(":
                self._advance()
                return self._nested(token)
            case "name":
                self._advance()
                return self._call(token) if self._token.kind == "(" else self._read(token)
        raise self._expected("a value")

    def _nested(self, opening: Token) -> Node:
        self._descend(opening)
        node = self._expression()
        self._take(")", "an operator or ')'")
        self._depth -= 1
        return node

    def _read(self, token: Token) -> Node:
        return Attribute(self._attribute(token), position=token.position)

    def _call(self, token: Token) -> Node:
        if _FUNCTION.fullmatch(token.source) is None:
            reason = f"names of functions are letters and underscores, found {token.found()}"
            raise InvalidExpression(self._text, token.position, reason)
        opening = self._advance()
        arguments = () if self._accept(")") else self._list(opening)
        height = self._height(token, arguments)
        return Call(token.source.upper(), arguments, position=token.position, height=height)

    def _set(self) -> tuple[Node, ...]:
        return self._list(self._take("(", "'(' and the elements of a set"))

    def _list(self, opening: Token) -> tuple[Node, ...]:
        self._descend(opening)
        nodes = [self._expression()]
        while self._accept(","):
            nodes.append(self._expression())
        self._take(")", "an operator, ',' or ')'")
        self._depth -= 1
        return tuple(nodes)

    def _sign_of_integer(self) -> bool:
        sign, number = self._tokens[self._next], self._tokens[self._next + 1]
        return number.kind == INTEGER and number.position == sign.end

    def _integer(self, digits: Token, sign: Token | None) -> Node:
        first = sign or digits
        # Compared by length first: the value of a very long run of digits is never computed.
        significant = digits.source.lstrip("0") or "0"
        value = int(significant) if len(significant) <= MAX_DIGITS else MAX_INTEGER + 2
        value = -value if sign is not None and sign.kind == "-" else value
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            number = shown(self._text[first.position : digits.end])
            reason = f"integers are from {MIN_INTEGER} to {MAX_INTEGER}, found {number}"
            raise InvalidExpression(self._text, first.position, reason)
        return Literal(value, position=first.position)

    def _attribute(self, token: Token) -> str:
        if _ATTRIBUTE.fullmatch(token.source) is None:
            reason = f"names of attributes are letters and digits, found {token.found()}"
            raise InvalidExpression(self._text, token.position, reason)
        # The conformance cases write EXISTS SOURCE; an event's own names are always lower case.
        return token.source.lower()

    def _height(self, token: Token, below: Sequence[Node]) -> int:
        height = 1 + max((node.height for node in below), default=0)
        if height > MAX_HEIGHT:
            raise self._too_deep(token)
        return height

    def _descend(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_HEIGHT:
            raise self._too_deep(token)

    def _too_deep(self, token: Token) -> InvalidExpression:
        reason = f"operators and parentheses nest at most {MAX_HEIGHT} deep"
        return InvalidExpression(self._text, token.position, reason)

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _advance(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _accept(self, kind: str) -> bool:
        found = self._token.kind == kind
        self._next += found
        return found

    def _take(self, kind: str, what: str) -> Token:
        if self._token.kind != kind:
            raise self._expected(what)
        return self._advance()

    def _expected(self, what: str) -> InvalidExpression:
        token = self._token
        return InvalidExpression(self._text, token.position, f"expected {what}, found {token.found()}")
