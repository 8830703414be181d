"""Syntax trees compiled into closures over an event's attributes.

Evaluation fails fast: the first error is raised as `EvaluationFailed` and ends it. Types are followed through
the tree, so that a cast is made only where the type differs or is known no earlier than the event.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from alphapulse_broker.cesql.arithmetic import ARITHMETIC, negative
from alphapulse_broker.cesql.casts import CASTS, Type, to_string, to_text
from alphapulse_broker.cesql.errors import ErrorKind, EvaluationFailed
from alphapulse_broker.cesql.functions import find
from alphapulse_broker.cesql.like import compile_like
from alphapulse_broker.cesql.membership import membership
from alphapulse_broker.cesql.syntax import (
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
    Value,
)

Event = Mapping[str, Value]
Evaluate = Callable[[Event], Any]

_ORDER: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Compiled(NamedTuple):
    """A closure and the type of its values; None when only the event tells."""

    evaluate: Evaluate
    type: Type | None


def compile_node(node: Node) -> Compiled:
    """Return a tree's closure, which raises `EvaluationFailed` where the tree has no proper value."""
    return _COMPILERS[type(node)](node)


def _operand(node: Node, wanted: Type) -> Evaluate:
    compiled = compile_node(node)
    if compiled.type is wanted:
        return compiled.evaluate
    cast, evaluate = CASTS[wanted], compiled.evaluate
    return lambda event: cast(evaluate(event))


def _text(node: Node) -> Evaluate:
    evaluate = compile_node(node).evaluate
    return lambda event: to_text(evaluate(event))


def _literal(node: Literal) -> Compiled:
    value = node.value
    return Compiled(lambda _: value, type(value))


def _attribute(node: Attribute) -> Compiled:
    name = node.name

    def attribute(event: Event) -> Value:
        value = event.get(name)
        if value is None:
            raise _missing(name)
        return value

    return Compiled(attribute, None)


def _missing(name: str) -> EvaluationFailed:
    return EvaluationFailed(ErrorKind.MISSING_ATTRIBUTE, f"the event has no attribute {name}")


def _exists(node: Exists) -> Compiled:
    name = node.name
    return Compiled(lambda event: name in event, bool)


def _unary(node: Unary) -> Compiled:
    if node.operator == "NOT":
        condition = _operand(node.operand, bool)
        return Compiled(lambda event: not condition(event), bool)
    number = _operand(node.operand, int)
    return Compiled(lambda event: negative(number(event)), int)


def _binary(node: Binary) -> Compiled:
    if node.operator == "=":
        return Compiled(_equality(node), bool)
    if node.operator == "!=":
        equal = _equality(node)
        return Compiled(lambda event: not equal(event), bool)
    left, right = _operand(node.left, int), _operand(node.right, int)
    ordered = _ORDER.get(node.operator)
    if ordered is not None:
        return Compiled(lambda event: ordered(left(event), right(event)), bool)
    calculate = ARITHMETIC[node.operator]
    return Compiled(lambda event: calculate(left(event), right(event)), int)


def _equality(node: Binary) -> Evaluate:
    """Compare in the type of the right operand, as an ambiguous binary operator has to."""
    if isinstance(node.left, Attribute) and isinstance(node.right, Literal) and type(node.right.value) is str:
        return _attribute_is(node.left.name, node.right.value)
    right = compile_node(node.right)
    value = right.evaluate
    if right.type is not None:
        left = _operand(node.left, right.type)
        return lambda event: left(event) == value(event)
    left = compile_node(node.left).evaluate

    def equal(event: Event) -> bool:
        first, second = left(event), value(event)
        return bool(CASTS[type(second)](first) == second)

    return equal


def _attribute_is(name: str, wanted: str) -> Evaluate:
    # Most filters are made of this; one closure instead of three.
    def equal(event: Event) -> bool:
        found = event.get(name)
        if found is None:
            raise _missing(name)
        return found == wanted if found.__class__ is str else to_string(found) == wanted

    return equal


def _logic(node: Logic) -> Compiled:
    operands = [_operand(child, bool) for child in node.operands]
    if node.operator == "XOR":
        return Compiled(lambda event: sum([operand(event) for operand in operands]) % 2 == 1, bool)
    conjunction = node.operator == "AND"
    if len(operands) == 2:  # noqa: PLR2004  # a pair needs no loop
        left, right = operands
        if conjunction:
            return Compiled(lambda event: left(event) and right(event), bool)
        return Compiled(lambda event: left(event) or right(event), bool)

    def logic(event: Event) -> bool:
        for operand in operands:
            if operand(event) is not conjunction:
                return not conjunction
        return conjunction

    return Compiled(logic, bool)


def _like(node: Like) -> Compiled:
    text, matches, wanted = _text(node.operand), compile_like(node.pattern), not node.negated
    return Compiled(lambda event: matches(text(event)) is wanted, bool)


def _in(node: In) -> Compiled:
    value = compile_node(node.operand).evaluate
    contains = membership([_element(element) for element in node.elements])
    wanted = not node.negated
    return Compiled(lambda event: contains(value(event), event) is wanted, bool)


def _element(node: Node) -> Value | Evaluate:
    return node.value if isinstance(node, Literal) else compile_node(node).evaluate


def _call(node: Call) -> Compiled:
    arity, position = len(node.arguments), node.position
    function = find(node.name, arity)
    if function is None:
        return Compiled(_missing_function(node.name, arity), bool)
    implementation = function.implementation
    arguments = [
        _argument(argument, wanted)
        for argument, wanted in zip(node.arguments, function.types(arity), strict=True)
    ]

    def call(event: Event) -> Value:
        values = [argument(event) for argument in arguments]
        try:
            return implementation(*values)
        except EvaluationFailed as failure:
            failure.position = position
            raise

    return Compiled(call, function.returns)


def _argument(node: Node, wanted: Type | None) -> Evaluate:
    if wanted is None:
        return compile_node(node).evaluate
    return _text(node) if wanted is str else _operand(node, wanted)


def _missing_function(name: str, arity: int) -> Evaluate:
    def call(_: Event) -> Value:
        raise EvaluationFailed(ErrorKind.MISSING_FUNCTION, f"no function {name} takes {arity} arguments")

    return call


_COMPILERS: Mapping[type[Node], Callable[[Any], Compiled]] = {
    Literal: _literal,
    Attribute: _attribute,
    Exists: _exists,
    Unary: _unary,
    Binary: _binary,
    Logic: _logic,
    Like: _like,
    In: _in,
    Call: _call,
}
