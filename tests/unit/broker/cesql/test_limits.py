"""Checklist point 12: no expression and no event exhausts the stack or the time; evaluation is quick."""

import inspect
import sys
import time
import timeit

import pytest

from alphapulse_broker.cesql import ErrorKind, Expression, InvalidExpression, compile_predicate
from alphapulse_broker.cesql.casts import MAX_TEXT
from alphapulse_broker.cesql.parser import MAX_HEIGHT, MAX_LENGTH

# What one evaluation takes at worst is some 50 ms; backtracking would take longer than the universe is old.
PATIENCE_SECONDS = 2.0


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 2000 + "TRUE" + ")" * 2000,
        "(" * (MAX_HEIGHT + 1) + "TRUE" + ")" * (MAX_HEIGHT + 1),
        "NOT " * 1000 + "TRUE",
        "-" * 4000 + "1",
        "1" + " + 1" * 1000,
        "ABS(" * 800 + "1" + ")" * 800,
        "id IN (" * 500 + "1" + ")" * 500,
        "id" + " LIKE 'a'" * 400,
        "TRUE" + " AND TRUE OR TRUE" * 200,
    ],
)
def test_12_expression_too_deep_is_refused_and_not_a_stack_overflow(expression: str) -> None:
    with pytest.raises(InvalidExpression, match=f"nest at most {MAX_HEIGHT} deep"):
        Expression(expression)


def test_12_expression_too_long_is_refused() -> None:
    Expression("'" + "x" * (MAX_LENGTH - 2) + "'")

    with pytest.raises(
        InvalidExpression, match=f"at most {MAX_LENGTH} characters, this one has {MAX_LENGTH + 1}"
    ):
        Expression("'" + "x" * (MAX_LENGTH - 1) + "'")


def test_12_long_list_of_alternatives_is_not_deep() -> None:
    ids = [str(number) for number in range(250)]
    wants = compile_predicate(" OR ".join(f"id = '{number}'" for number in ids))

    assert wants({"id": ids[-1]})
    assert not wants({"id": "none"})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(" * MAX_HEIGHT + "TRUE" + ")" * MAX_HEIGHT, True),
        ("NOT " * (MAX_HEIGHT - 1) + "TRUE", False),
        ("BOOL(" * (MAX_HEIGHT - 1) + "TRUE" + ")" * (MAX_HEIGHT - 1), True),
    ],
)
def test_12_deepest_expression_needs_half_of_the_usual_stack(expression: str, expected: bool) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 500)
    try:
        found = Expression(expression).evaluate({}).value
    finally:
        sys.setrecursionlimit(limit)

    assert expected is found


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("text LIKE '" + "%a" * 2000 + "%b'", "a" * MAX_TEXT),
        ("text LIKE '" + "%a" * 2000 + "%b%'", "a" * MAX_TEXT),
        ("text LIKE '" + "%_a" * 1300 + "%b%'", "a" * MAX_TEXT),
        ("text LIKE '%" + "_a" * 2000 + "b%'", "a" * MAX_TEXT),
        ("text LIKE '%_ab%' OR " * 190 + "FALSE", "a" * MAX_TEXT),
        ("text = 1 OR " * 300 + "FALSE", "0" * 1_000_000),
        ("text = TRUE OR " * 250 + "FALSE", "T" * 1_000_000),
        ("LENGTH(" + "UPPER(" * 60 + "text" + ")" * 61 + " = 1", "ΐ" * 1_000_000),
        ("LENGTH(CONCAT(" + "text, " * 600 + "text)) = 1", "a" * MAX_TEXT),
    ],
)
def test_12_hostile_expression_on_a_hostile_event_ends_soon_without_a_match(
    expression: str, text: str
) -> None:
    wants = compile_predicate(expression)

    started = time.perf_counter()
    matched = wants({"text": text})

    assert not matched
    assert time.perf_counter() - started < PATIENCE_SECONDS


def test_12_text_too_long_to_be_worked_on_is_a_generic_error_and_may_still_be_compared() -> None:
    event = {"text": "a" * (MAX_TEXT + 1)}

    error = Expression("text LIKE 'a%'").evaluate(event).error

    assert error is not None
    assert error.kind == ErrorKind.GENERIC
    assert compile_predicate("text != 'a' AND text IN (text)")(event)


def test_12_usual_filter_is_evaluated_within_microseconds() -> None:
    wants = compile_predicate("type = 'x' AND tenantid = 'y'")
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "x", "tenantid": "y"}

    seconds = min(timeit.repeat(lambda: wants(event), number=2000, repeat=7)) / 2000

    assert wants(event)
    # Some 0.3 microseconds on an idle core; 5 are promised.
    assert seconds < 5e-6
