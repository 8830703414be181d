"""Checklist point 12: what holds for every CESQL expression and every event."""

import string
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alphapulse_broker.cesql import ErrorKind, Expression, InvalidExpression, compile_predicate
from alphapulse_broker.cesql.arithmetic import ARITHMETIC
from alphapulse_broker.cesql.errors import EvaluationFailed
from alphapulse_broker.cesql.like import compile_like
from alphapulse_broker.cesql.parser import parse
from alphapulse_broker.cesql.syntax import MAX_INTEGER, MIN_INTEGER, Node
from tests.unit.broker.cesql.printing import attribute_names, printed, texts, trees

events = st.dictionaries(attribute_names, texts, max_size=5)
typed_events = st.dictionaries(attribute_names, texts | st.booleans() | st.integers(-9, 9), max_size=5)
words = st.sampled_from(
    [
        *"()=<>+-*/%,'\"\\é\n\x00",
        *("<=", "!=", "AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "id", "type"),
        *("'a%_b'", '"x"', "7", "-7", "2147483648", "LENGTH(", "ABS("),
    ]
)
integers = st.integers(MIN_INTEGER, MAX_INTEGER) | st.integers(-9, 9)


@given(trees)
def test_printed_tree_parses_into_the_same_tree(tree: Node) -> None:
    assert tree == parse(printed(tree))


@given(trees, typed_events)
def test_12_evaluation_gives_a_value_of_the_expression_s_type_and_never_raises(
    tree: Node, event: dict[str, Any]
) -> None:
    expression = Expression(printed(tree))

    result = expression.evaluate(event)

    assert type(result.value) in ({str, int, bool} if expression.type is None else {expression.type})
    assert expression.matches(event) is (result.error is None and result.value is True)


@given(trees, events)
def test_12_same_event_gives_the_same_value_and_is_not_changed(tree: Node, event: dict[str, str]) -> None:
    expression, before = Expression(printed(tree)), dict(event)

    first, second = expression.evaluate(event), expression.evaluate(event)

    assert first.value == second.value
    assert str(first.error) == str(second.error)
    assert before == event


@given(
    st.lists(words, max_size=12).map(" ".join) | st.text(max_size=30) | st.text(string.printable, max_size=30)
)
@example("'")
@example("\\")
@example("\x00")
@example("EXISTS")
@example("NOT NOT")
def test_12_any_text_is_an_expression_or_refused_with_a_place_inside_it(text: str) -> None:
    refusal = None
    try:
        compile_predicate(text)
    except InvalidExpression as error:
        refusal = error

    if refusal is not None:
        lines = text.split("\n")
        assert 1 <= refusal.line <= len(lines)
        assert 1 <= refusal.column <= len(lines[refusal.line - 1]) + 1
        assert refusal.reason


@given(
    st.text(alphabet="ab%", max_size=8) | st.text(alphabet="ab_%\\\n", max_size=10),
    st.text(alphabet="ab", max_size=10) | st.text(alphabet="ab_%\\\n", max_size=12),
)
@example("ab%b%", "aba")
@example("%aa%aa%", "aaab")
@example("%a_%a_%", "aaab")
@example("%%", "")
@example("_%_", "a")
@example("a%a", "a")
@example("%a_%", "ba")
@example("\\", "\\")
@example("\\\\%", "\\%")
def test_12_like_agrees_with_a_naive_model(pattern: str, text: str) -> None:
    assert naive_like(pattern, text) is compile_like(pattern)(text)


@given(st.sampled_from("+-*"), integers, integers)
def test_12_sums_and_products_are_exact_or_a_math_error(operator: str, left: int, right: int) -> None:
    exact = {"+": left + right, "-": left - right, "*": left * right}[operator]
    calculate = ARITHMETIC[operator]

    if MIN_INTEGER <= exact <= MAX_INTEGER:
        assert exact == calculate(left, right)
    else:
        with pytest.raises(EvaluationFailed, match=ErrorKind.MATH):
            calculate(left, right)


@given(integers, integers.filter(bool))
def test_12_division_truncates_and_the_remainder_has_the_dividend_s_sign(left: int, right: int) -> None:
    if (left, right) == (MIN_INTEGER, -1):
        return
    quotient, remainder = ARITHMETIC["/"](left, right), ARITHMETIC["%"](left, right)

    assert left == quotient * right + remainder
    assert abs(remainder) < abs(right)
    assert remainder == 0 or (remainder < 0) == (left < 0)


def naive_like(pattern: str, text: str) -> bool:
    @cache
    def matches(at: int, position: int) -> bool:
        if at == len(pattern):
            return position == len(text)
        character = pattern[at]
        if character == "%":
            return any(matches(at + 1, rest) for rest in range(position, len(text) + 1))
        if position == len(text):
            return False
        if character == "_":
            return matches(at + 1, position + 1)
        if character == "\\" and pattern[at + 1 : at + 2] in {"%", "_"}:
            return text[position] == pattern[at + 1] and matches(at + 2, position + 1)
        return text[position] == character and matches(at + 1, position + 1)

    return matches(0, 0)
