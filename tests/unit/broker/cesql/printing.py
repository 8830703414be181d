"""A printer for syntax trees: text that has to parse back into the same tree, and strategies for both."""

from collections.abc import Callable
from typing import Any

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


def _above(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    at = st.just(AT)
    many = st.lists(inner, min_size=1, max_size=3).map(tuple)
    logic = st.sampled_from(["AND", "OR", "XOR"]).flatmap(
        lambda operator: st.builds(
            Logic,
            st.just(operator),
            st.lists(inner, min_size=2, max_size=4).map(tuple).filter(lambda run: not _is(run[0], operator)),
            position=at,
        )
    )
    return (
        st.builds(Unary, st.sampled_from(["NOT", "-"]), inner, position=at)
        | st.builds(Binary, st.sampled_from(["+", "-", "*", "/", "%"]), inner, inner, position=at)
        | st.builds(Binary, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), inner, inner, position=at)
        | logic
        | st.builds(Like, inner, texts, st.booleans(), position=at)
        | st.builds(In, inner, many, st.booleans(), position=at)
        | st.builds(Call, function_names, many | st.just(()), position=at)
    )


def _is(node: Node, operator: str) -> bool:
    return isinstance(node, Logic) and node.operator == operator


trees = st.recursive(leaves, _above, max_leaves=12)


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
