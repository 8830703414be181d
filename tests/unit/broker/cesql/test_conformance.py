"""Checklist point 12: CESQL against the cases of its technology compatibility kit (see tck/README.md)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from alphapulse_broker.cesql import Expression, InvalidExpression
from alphapulse_broker.filters import compile_filter

EVENT = {"specversion": "1.0", "id": "1", "source": "/source", "type": "type"}
SUITES = sorted((Path(__file__).parent / "tck").glob("*.yaml"))
CASES = [
    pytest.param(case, id=f"{suite.stem}-{number}")
    for suite in SUITES
    for number, case in enumerate(yaml.safe_load(suite.read_text())["cases"], start=1)
]


def event_of(case: dict[str, Any]) -> dict[str, Any]:
    return {**EVENT, **case.get("attributes", {})}


@pytest.mark.parametrize("case", CASES)
def test_12_cesql_gives_the_value_and_the_error_of_the_conformance_case(case: dict[str, Any]) -> None:
    if case.get("error") == "parse":
        with pytest.raises(InvalidExpression):
            Expression(case["expression"])
        return

    result = Expression(case["expression"]).evaluate(event_of(case))

    error = None if result.error is None else result.error.kind
    assert case.get("error") == error
    if "result" in case:
        expected = not case["result"] if case.get("superseded") else case["result"]
        assert (type(expected), expected) == (type(result.value), result.value)


@pytest.mark.parametrize("case", CASES)
def test_12_cesql_filter_passes_exactly_the_events_of_cases_that_are_true_without_error(
    case: dict[str, Any],
) -> None:
    if case.get("error") == "parse":
        return
    expected = "error" not in case and (case["result"] is True or case.get("superseded", False))

    assert expected is Expression(case["expression"]).matches(event_of(case))


def test_12_cesql_case_works_as_a_trigger_filter() -> None:
    wants = compile_filter([{"cesql": "source LIKE 'https://%' AND type IN ('type', 'other')"}], {})

    assert wants({**EVENT, "source": "https://example.com"})
    assert not wants(EVENT)


def test_every_suite_of_the_kit_is_here() -> None:
    counts = {suite.stem: len(yaml.safe_load(suite.read_text())["cases"]) for suite in SUITES}

    assert counts == {
        "binary_comparison_operators": 32,
        "binary_logical_operators": 16,
        "binary_math_operators": 18,
        "case_sensitivity": 7,
        "casting_functions": 21,
        "context_attributes_access": 8,
        "exists_expression": 7,
        "in_expression": 16,
        "integer_builtin_functions": 4,
        "like_expression": 36,
        "literals": 10,
        "negate_operator": 6,
        "not_operator": 6,
        "parse_errors": 1,
        "pre_1_0": 9,
        "spec_examples": 10,
        "string_builtin_functions": 42,
        "sub_expression": 3,
        "subscriptions_api_recreations": 28,
    }
