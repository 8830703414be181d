"""Checklist point 12: what the CESQL specification says beyond its conformance cases."""

from typing import Any

import pytest

from alphapulse_broker.cesql import ErrorKind, Expression, InvalidExpression, compile_predicate
from alphapulse_broker.cesql.syntax import MAX_INTEGER, MIN_INTEGER

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/trade",
    "type": "com.alphapulse.trade.filled.v1",
    "tenantid": "t1",
    "sequence": "007",
    "text": "  \x1fcafé\u3000",
    "flag": True,
}


def value_of(expression: str) -> Any:
    result = Expression(expression).evaluate(EVENT)
    assert result.error is None, result.error
    return result.value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("TRUE OR TRUE AND FALSE", False),
        ("TRUE OR (TRUE AND FALSE)", True),
        ("FALSE AND TRUE OR TRUE", True),
        ("TRUE XOR TRUE XOR TRUE", True),
        ("TRUE XOR TRUE OR TRUE", True),
        ("1 + 2 * 3 = 7 AND 10 - 4 - 3 = 3", True),
        ("NOT 1 = 2", False),
        ("NOT (1 = 2)", True),
        ("NOT NOT TRUE", True),
        ("-2 * -3", 6),
        ("10 % 4 * 2", 4),
        ("2 * 'x' LIKE 'x'", 2),
        ("1 < 2 = TRUE", True),
    ],
)
def test_12_cesql_groups_by_precedence_and_from_the_left(expression: str, expected: Any) -> None:
    assert expected == value_of(expression)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("4-1", 3),
        ("4 -1", 3),
        ("+5", 5),
        ("- 5", -5),
        ("-2147483648", MIN_INTEGER),
        ("2147483647", MAX_INTEGER),
        ("0000000000000001", 1),
        (r"'a\'b'", "a'b"),
        (r'"a\"b\'c"', "a\"b\\'c"),
        (r"'a\\'", "a\\\\"),
        ("'line\nbreak'", "line\nbreak"),
        ("\t(\r\n1 )", 1),
        ("LeNgTh ('ab')", 2),
        ("tenantID", "t1"),
        ("TENANTID", "t1"),
        ("sequence = 7", True),
        ("sequence = '7'", False),
        ("7 = sequence", False),
        ("flag = 'true'", True),
        ("flag = 1", True),
        ("flag + 1", 2),
        ("1 = TRUE", True),
        ("TRUE < 2", True),
        ("id IN (TRUE, 1)", True),
        ("flag IN ('TRUE')", True),
        ("source IN (type, source, missing)", True),
        ("'a' IN ('b', 'c') = FALSE", True),
        ("source LIKE '/tr_d%'", True),
        ("source LIKE '%ra%'", True),
        ("type LIKE '%.trade.%.v_'", True),
        ("type LIKE 'COM%'", False),
        ("TRIM(text)", "\x1fcafé"),
        ("LENGTH(text)", 8),
        ("UPPER('straße')", "STRASSE"),
        ("RIGHT('abc', 0)", ""),
        ("LEFT('abc', 0)", ""),
        ("SUBSTRING('abc', 3, 9)", "c"),
        ("SUBSTRING('abc', -3, 0)", ""),
        ("SUBSTRING(12345, '2', 3)", "234"),
        ("CONCAT(1, TRUE, 'x')", "1truex"),
        ("CONCAT_WS('', 'a', 'b')", "ab"),
        ("IS_INT('2147483648')", False),
        ("IS_INT('\u0661')", False),
        ("IS_INT(' 1')", False),
        ("IS_INT('')", False),
        ("IS_INT('+')", False),
        ("INT('+0000000000012')", 12),
        ("-2147483648 / 1", MIN_INTEGER),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7 % -2", 1),
    ],
)
def test_12_cesql_expression_has_the_specified_value(expression: str, expected: Any) -> None:
    found = value_of(expression)

    assert (type(expected), expected) == (type(found), found)


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("missing", ErrorKind.MISSING_ATTRIBUTE, False),
        ("missing * 5", ErrorKind.MISSING_ATTRIBUTE, 0),
        ("1 / missing", ErrorKind.MISSING_ATTRIBUTE, 0),
        ("TRUE AND (missing = '')", ErrorKind.MISSING_ATTRIBUTE, False),
        ("missing IN ('a')", ErrorKind.MISSING_ATTRIBUTE, False),
        ("'a' IN ('b', missing)", ErrorKind.MISSING_ATTRIBUTE, False),
        ("CONCAT('a', missing)", ErrorKind.MISSING_ATTRIBUTE, ""),
        ("MISSING_ONE(1)", ErrorKind.MISSING_FUNCTION, False),
        ("LENGTH('a', 'b')", ErrorKind.MISSING_FUNCTION, False),
        ("2147483647 + 1", ErrorKind.MATH, 0),
        ("-2147483648 - 1", ErrorKind.MATH, 0),
        ("65536 * 65536", ErrorKind.MATH, 0),
        ("-2147483648 / -1", ErrorKind.MATH, 0),
        ("-(-2147483648)", ErrorKind.MATH, 0),
        ("ABS(-2147483648) + 0", ErrorKind.MATH, 0),
        ("'2147483648' + 0", ErrorKind.CAST, 0),
        ("type < 5", ErrorKind.CAST, False),
        ("type AND TRUE", ErrorKind.CAST, False),
        ("1 IN ('1a', 1)", ErrorKind.CAST, False),
        ("LEFT('abc', -1)", ErrorKind.FUNCTION_EVALUATION, "abc"),
        ("CONCAT('x', LEFT('abc', -1))", ErrorKind.FUNCTION_EVALUATION, ""),
        ("LEFT(LEFT('abc', -1), 2)", ErrorKind.FUNCTION_EVALUATION, ""),
        ("SUBSTRING('abc', 0, -1)", ErrorKind.FUNCTION_EVALUATION, ""),
    ],
)
def test_12_cesql_error_comes_with_its_kind_and_default_value_and_does_not_match(
    expression: str, kind: ErrorKind, value: Any
) -> None:
    result = Expression(expression).evaluate(EVENT)

    assert result.error is not None
    assert (kind, type(value), value) == (result.error.kind, type(result.value), result.value)
    assert not Expression(expression).matches(EVENT)


def test_12_filter_whose_evaluation_errs_does_not_match_though_a_later_part_is_true() -> None:
    assert not compile_predicate("missing = 'x' OR source = '/trade'")(EVENT)
    assert not compile_predicate("NOT (missing = 'x')")(EVENT)
    assert compile_predicate("source = '/trade' OR missing = 'x'")(EVENT)
    assert not compile_predicate("source = '/other' AND missing = 'x'")(EVENT)
    assert compile_predicate("(EXISTS missing AND missing = 'x') OR source = '/trade'")(EVENT)


@pytest.mark.parametrize(
    ("expression", "line", "column", "reason"),
    [
        ("", 1, 1, "expected a value, found the end of the expression"),
        ("type = ", 1, 8, "expected a value, found the end of the expression"),
        ("type == 'x'", 1, 7, "expected a value, found '='"),
        ("type = 'x", 1, 8, "the text that begins here has no closing '"),
        ('type = "x', 1, 8, 'the text that begins here has no closing "'),
        ("type = 'x'\n  AND § = 1", 2, 7, "expected a value or an operator, found '§'"),
        ("(a = 1", 1, 7, "expected an operator or ')', found the end of the expression"),
        ("a = 1)", 1, 6, "expected an operator or the end of the expression, found ')'"),
        ("a b", 1, 3, "expected an operator or the end of the expression, found 'b'"),
        ("a NOT b", 1, 7, "expected LIKE or IN, found 'b'"),
        ("a LIKE b", 1, 8, "expected a quoted pattern, found 'b'"),
        ("a IN 'x'", 1, 6, "expected '(' and the elements of a set, found \"'x'\""),
        ("a IN ()", 1, 7, "expected a value, found ')'"),
        ("a IN ('x' 'y')", 1, 11, "expected an operator, ',' or ')', found \"'y'\""),
        ("EXISTS 'x'", 1, 8, "expected the name of an attribute, found \"'x'\""),
        ("tenant_id = 'x'", 1, 1, "names of attributes are letters and digits, found 'tenant_id'"),
        ("EXISTS tenant_id", 1, 8, "names of attributes are letters and digits, found 'tenant_id'"),
        ("ABS1(2)", 1, 1, "names of functions are letters and underscores, found 'ABS1'"),
        ("a = 2147483648", 1, 5, "integers are from -2147483648 to 2147483647, found '2147483648'"),
        ("a = -2147483649", 1, 5, "integers are from -2147483648 to 2147483647, found '-2147483649'"),
        ("FOO(1)", 1, 1, "there is no function FOO; known: ABS, BOOL, CONCAT"),
        ("TRUE AND ABS() = 1", 1, 10, "function ABS does not take 0 arguments"),
        ("type", 1, 1, "expected a condition, found an attribute alone"),
        ("'true'", 1, 1, "expected a condition, found a value of type String"),
        ("1 + 1", 1, 3, "expected a condition, found a value of type Integer"),
    ],
)
def test_12_wrong_expression_is_refused_with_its_place_and_the_reason(
    expression: str, line: int, column: int, reason: str
) -> None:
    with pytest.raises(InvalidExpression) as refusal:
        compile_predicate(expression)

    assert (line, column) == (refusal.value.line, refusal.value.column)
    assert refusal.value.reason.startswith(reason)
    assert str(refusal.value).startswith(f"line {line}, column {column}: {reason}")
