"""Stripe's form encoding, as Stripe's SDK writes it, is read back."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe._encode import _api_encode

from alphapulse_local.embedded.stripe_simulator.errors import Refusal
from alphapulse_local.embedded.stripe_simulator.parameters import Parameters, decode

# Names of Stripe's parameters are words; digits alone would read as positions in a list.
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
LEAVES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner))
    return 0


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_the_sdk_encodes_is_decoded(parameters: dict[str, Any]) -> None:
    pairs = [(str(name), str(value)) for name, value in _api_encode(parameters)]

    if parameters and depth(parameters) > 8:
        with pytest.raises(Refusal):
            decode(pairs)
    else:
        assert decode(pairs) == parameters


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=5)), max_size=6))
def test_anything_else_is_refused_or_read(pairs: list[tuple[str, str]]) -> None:
    with contextlib.suppress(Refusal):
        Parameters(decode(pairs)).done()


def test_more_than_ten_items_keep_their_order() -> None:
    pairs = [(f"items[{number}][price]", str(number)) for number in range(12)]

    assert decode(pairs) == {"items": [{"price": str(number)} for number in range(12)]}
