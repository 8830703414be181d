"""The syntax tree of CESQL.

Every node knows its `position` in the text and its `height`; neither counts when trees are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

Value = str | int | bool

MIN_INTEGER, MAX_INTEGER = -(2**31), 2**31 - 1
MAX_DIGITS = 10


@dataclass(frozen=True, kw_only=True)
class Node:
    """Root of the nodes."""

    position: int = field(compare=False)
    height: int = field(compare=False, default=1)


@dataclass(frozen=True)
class Literal(Node):
    """A value that stands in the expression."""

    value: Value


@dataclass(frozen=True)
class Attribute(Node):
    """The value of an attribute of the event."""

    name: str


@dataclass(frozen=True)
class Exists(Node):
    """`EXISTS name`."""

    name: str


@dataclass(frozen=True)
class Unary(Node):
    """`NOT operand` or `-operand`."""

    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    """Arithmetic or a comparison."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Logic(Node):
    """A run of one of AND, OR, XOR, from left to right."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Like(Node):
    """`operand [NOT] LIKE 'pattern'`."""

    operand: Node
    pattern: str
    negated: bool


@dataclass(frozen=True)
class In(Node):
    """`operand [NOT] IN (elements)`."""

    operand: Node
    elements: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True)
class Call(Node):
    """`NAME(arguments)`."""

    name: str
    arguments: tuple[Node, ...]


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes right below a node."""
    match node:
        case Unary(operand=operand) | Like(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Logic(operands=operands):
            return operands
        case In(operand=operand, elements=elements):
            return (operand, *elements)
        case Call(arguments=arguments):
            return arguments
    return ()


def calls(node: Node) -> Iterator[Call]:
    """Yield every function call in a tree."""
    if isinstance(node, Call):
        yield node
    for child in children(node):
        yield from calls(child)
