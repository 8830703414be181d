"""Checklist point 12: which events a trigger gets."""

from typing import Any

import pytest

from alphapulse_broker.errors import InvalidManifest
from alphapulse_broker.filters import compile_filter

EVENT = {"specversion": "1.0", "id": "1", "source": "/trade", "type": "com.alphapulse.trade.filled.v1"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], True),
        ([{"exact": {"type": "com.alphapulse.trade.filled.v1"}}], True),
        ([{"exact": {"type": "com.alphapulse.trade.filled.v1", "source": "/other"}}], False),
        ([{"exact": {"absent": "x"}}], False),
        ([{"prefix": {"type": "com.alphapulse.trade."}}], True),
        ([{"prefix": {"type": "com.alphapulse.order."}}], False),
        ([{"suffix": {"type": ".v1"}}], True),
        ([{"suffix": {"absent": ".v1"}}], False),
        ([{"not": {"suffix": {"type": ".v1"}}}], False),
        ([{"not": {"exact": {"absent": "x"}}}], True),
        ([{"any": [{"exact": {"source": "/no"}}, {"prefix": {"source": "/tr"}}]}], True),
        ([{"any": [{"exact": {"source": "/no"}}]}], False),
        ([{"all": [{"exact": {"source": "/trade"}}, {"suffix": {"type": ".v2"}}]}], False),
        ([{"exact": {"source": "/trade"}}, {"suffix": {"type": ".v2"}}], False),
        ([{"all": [{"not": {"any": [{"exact": {"id": "2"}}]}}, {"exact": {"id": "1"}}]}], True),
        ([{"cesql": "type LIKE 'com.alphapulse.trade.%' AND source = '/trade'"}], True),
        ([{"cesql": "source = '/other'"}], False),
        ([{"cesql": "absent = 'x' OR source = '/trade'"}], False),
        ([{"cesql": "EXISTS absent AND absent = 'x' OR source = '/trade'"}], True),
        ([{"not": {"cesql": "absent = 'x'"}}], True),
        ([{"cesql": "id = 1"}, {"suffix": {"type": ".v1"}}], True),
    ],
)
def test_12_dialects_match_as_the_subscriptions_api_says(
    filters: list[dict[str, Any]], expected: bool
) -> None:
    assert expected is compile_filter(filters, {})(EVENT)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, True),
        ({"type": "com.alphapulse.trade.filled.v1"}, True),
        ({"type": "other"}, False),
        ({"type": ""}, True),
        ({"agent": ""}, False),
        ({"type": "com.alphapulse.trade.filled.v1", "source": "/other"}, False),
    ],
)
def test_12_legacy_attributes_compare_exactly_and_empty_means_present(
    attributes: dict[str, str], expected: bool
) -> None:
    assert expected is compile_filter([], attributes)(EVENT)


def test_12_filters_win_over_legacy_attributes() -> None:
    wants = compile_filter([{"exact": {"id": "1"}}], {"type": "other"})

    assert wants(EVENT)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([{"cesql": "type = 'x"}], "cesql: line 1, column 8: the text that begins here has no closing '"),
        ([{"cesql": "type"}], "cesql: line 1, column 1: expected a condition, found an attribute alone"),
        ([{"not": {"cesql": "REGEX(type, 'x')"}}], "cesql: line 1, column 1: there is no function REGEX"),
        ([{"cesql": {"type": "x"}}], "cesql takes text"),
        ([{"cesql": True}], "cesql takes text; quote the value True"),
        ([{"regex": {"type": "x"}}], "unknown filter dialect 'regex'"),
        ([{}], "exactly one dialect"),
        ([{"exact": {"a": "x"}, "prefix": {"a": "x"}}], "exactly one dialect"),
        ([{"exact": {}}], "takes a map"),
        ([{"exact": {"type": ""}}], "must not be empty"),
        ([{"exact": {"type": 1}}], "quote the value 1"),
        ([{"exact": {"Type": "x"}}], "lower-case letters and digits"),
        ([{"all": []}], "takes a list"),
        ([{"any": {"exact": {"type": "x"}}}], "takes a list"),
        ([{"not": [{"exact": {"type": "x"}}]}], "exactly one dialect"),
    ],
)
def test_12_filter_that_cannot_be_used_is_refused_at_load(
    filters: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(InvalidManifest, match=message):
        compile_filter(filters, {})


def nested(levels: int, dialect: str) -> dict[str, Any]:
    found: dict[str, Any] = {"exact": {"id": "1"}}
    for _ in range(levels - 1):
        found = {dialect: found if dialect == "not" else [found]}
    return found


@pytest.mark.parametrize("dialect", ["all", "any", "not"])
def test_12_filters_nest_64_levels_and_no_deeper(dialect: str) -> None:
    wants = compile_filter([nested(64, dialect)], {})

    assert wants(EVENT) is (dialect != "not")
    for levels in (65, 5_000):
        with pytest.raises(InvalidManifest, match="nested deeper than 64 levels"):
            compile_filter([nested(levels, dialect)], {})


def test_12_refusal_does_not_repeat_a_filter_however_deep_it_is() -> None:
    deep = nested(5_000, "any")

    for wrong in ({"all": deep}, {"exact": deep["any"]}, {"not": deep, "any": [deep]}, {"cesql": deep}):
        with pytest.raises(InvalidManifest) as refused:
            compile_filter([wrong], {})
        assert len(str(refused.value)) < 300
