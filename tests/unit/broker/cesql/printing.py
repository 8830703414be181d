"""A printer for syntax trees: text that has to parse back into the same tree, and strategies for both."""

from collections.abc import Callable
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from alphapulse_broker.cesql.functions import FUNCTIONS
from alphapulse_broker.cesql.syntax import (
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
from alphapulse_broker.cesql.tokens import KEYWORDS

AT = 0  # positions do not count when trees are compared

texts = st.text(alphabet="ab%_'\" .é\n\t\U0001f600", max_size=6) | st.sampled_from(
    ["", "true", "FALSE", "7", "-3"]
)
names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8).filter(
    lambda name: not name.isdecimal() and name.upper() not in KEYWORDS
)
attribute_names = st.sampled_from(["id", "type", "tenantid", "count", "flag"]) | names
literals = st.builds(
    Literal, st.booleans() | st.integers(MIN_INTEGER, MAX_INTEGER) | texts, position=st.just(AT)
)
function_names = st.sampled_from([*FUNCTIONS, "UNKNOWN"])
leaves = (
    literals
    | st.builds(Attribute, attribute_names, position=st.just(AT))
    | st.builds(Exists, attribute_names, position=st.just(AT))
)


Operands = Callable[[], Node]

_COMPOUNDS: dict[type[Node], Callable[[st.DrawFn, Operands], dict[str, Any]]] = {
    Unary: lambda draw, operand: {"operator": draw(st.sampled_from(["NOT", "-"])), "operand": operand()},
    Binary: lambda draw, operand: {
        "operator": draw(st.sampled_from(["+", "-", "*", "/", "%", "=", "!=", "<", "<=", ">", ">="])),
        "left": operand(),
        "right": operand(),
    },
    Logic: lambda draw, operand: {
        "operator": draw(st.sampled_from(["AND", "OR", "XOR"])),
        "operands": (operand(), *_some(draw, operand)),
    },
    Like: lambda draw, operand: {
        "operand": operand(),
        "pattern": draw(texts),
        "negated": draw(st.booleans()),
    },
    In: lambda draw, operand: {
        "operand": operand(),
        "elements": _some(draw, operand),
        "negated": draw(st.booleans()),
    },
    Call: lambda draw, operand: {
        "name": draw(function_names),
        "arguments": _some(draw, operand) if draw(st.booleans()) else (),
    },
}


def _some(draw: st.DrawFn, operand: Operands) -> tuple[Node, ...]:
    return tuple(operand() for _ in range(draw(st.integers(1, 3))))


@st.composite
def _compounds(draw: st.DrawFn, inner: st.SearchStrategy[Node]) -> Node:
    kind = draw(st.sampled_from([*_COMPOUNDS]))
    fields = _COMPOUNDS[kind](draw, lambda: draw(inner))
    node = kind(**fields, position=AT)
    # A run that begins with a run of the same operator is one run for the parser.
    if isinstance(node, Logic) and isinstance(node.operands[0], Logic):
        assume(node.operands[0].operator != node.operator)
    return node


trees = st.recursive(leaves, _compounds, max_leaves=12)


def printed(node: Node) -> str:
    """Return a tree as an expression, every operand in parentheses."""
    return _PRINTERS[type(node)](node)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def _inner(node: Node) -> str:
    return f"({printed(node)})"


def _listed(nodes: tuple[Node, ...]) -> str:
    return f"({', '.join(map(printed, nodes))})"


_PRINTERS: dict[type[Node], Callable[[Any], str]] = {
    Literal: lambda node: quoted(node.value) if isinstance(node.value, str) else str(node.value),
    Attribute: lambda node: node.name,
    Exists: lambda node: f"EXISTS {node.name}",
    Unary: lambda node: f"{node.operator} {_inner(node.operand)}",
    Binary: lambda node: f"{_inner(node.left)} {node.operator} {_inner(node.right)}",
    Logic: lambda node: f" {node.operator} ".join(map(_inner, node.operands)),
    Like: lambda node: f"{_inner(node.operand)} {'NOT ' * node.negated}LIKE {quoted(node.pattern)}",
    In: lambda node: f"{_inner(node.operand)} {'NOT ' * node.negated}IN {_listed(node.elements)}",
    Call: lambda node: f"{node.name}{_listed(node.arguments)}",
}
