from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.money import (
    InvalidDecimal,
    amounts_text,
    at_par_with_usd,
    decimal_text,
    exact,
    parse_decimal,
    parse_positive,
    quantise,
    round_to_increment,
)

stored = st.decimals(
    min_value=Decimal(10) ** 20 * -1 + 1, max_value=Decimal(10) ** 20 - 1, places=18, allow_nan=False
)
increments = st.sampled_from(
    [Decimal(text) for text in ("1", "0.5", "0.01", "0.00001", "0.000000000000000001")]
)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "1e5",
        "1E-5",
        "",
        " 1",
        "1 ",
        "+1",
        ".5",
        "5.",
        "1_000",
        "1,000",
        "0x10",
        "--1",
        "1\n",
        "\u0661",
        "1.2.3",
    ],
)
def test_text_that_is_no_plain_decimal_is_refused_and_echoed(text: str) -> None:
    with pytest.raises(InvalidDecimal) as refused:
        parse_decimal(text, name="quantity")

    assert repr(text) in str(refused.value)
    assert "quantity" in str(refused.value)


@pytest.mark.parametrize("value", [1.5, True, None, [], b"1", Decimal("NaN"), Decimal("Infinity")])
def test_value_that_is_no_text_or_finite_decimal_is_refused(value: object) -> None:
    with pytest.raises(InvalidDecimal):
        parse_decimal(value)


def test_nineteenth_fractional_digit_is_refused_with_the_number_found() -> None:
    assert parse_decimal("0." + "1" * 18) == Decimal("0." + "1" * 18)
    with pytest.raises(InvalidDecimal, match="at most 18 digits behind the point, had 19"):
        parse_decimal("0." + "1" * 19)


def test_twenty_first_integer_digit_is_refused_with_the_number_found() -> None:
    assert parse_decimal("9" * 20) == Decimal("9" * 20)
    with pytest.raises(InvalidDecimal, match="at most 20 digits before the point, had 21"):
        parse_decimal("9" * 21)


def test_integer_of_thousands_of_digits_is_refused_like_any_other() -> None:
    with pytest.raises(InvalidDecimal, match="at most 20 digits before the point, had 5001"):
        parse_decimal(10**5000)


def test_long_garbage_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidDecimal) as refused:
        parse_decimal("x" * 10_000)

    assert len(str(refused.value)) < 150


@pytest.mark.parametrize("text", ["0", "-1", "0.000"])
def test_parse_positive_refuses_zero_and_less(text: str) -> None:
    with pytest.raises(InvalidDecimal, match="must be positive, was"):
        parse_positive(text)


@given(stored)
def test_every_stored_value_survives_text_and_back(value: Decimal) -> None:
    text = decimal_text(value)

    assert parse_decimal(text) == value
    assert "E" not in text.upper()
    assert text != "-0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+5", "100000"),
        ("1E-8", "0.00000001"),
        ("1.500000000000000000", "1.5"),
        ("-0.00", "0"),
        ("100", "100"),
        ("0E-18", "0"),
    ],
)
def test_decimal_text_is_plain_and_without_trailing_zeros(value: str, text: str) -> None:
    assert decimal_text(Decimal(value)) == text


def test_decimal_text_refuses_what_is_not_finite() -> None:
    with pytest.raises(InvalidDecimal):
        decimal_text(Decimal("NaN"))


def test_product_of_two_stored_values_is_exact() -> None:
    widest = Decimal("99999999999999999999.999999999999999999")

    with exact():
        product = widest * widest

    assert str(product).replace(".", "") == str((10**38 - 1) ** 2)


def test_quantise_keeps_a_value_of_thirty_eight_digits() -> None:
    widest = Decimal("99999999999999999999.999999999999999999")

    assert quantise(widest) == widest


def test_quantise_rounds_half_to_even_by_default() -> None:
    assert quantise(Decimal("0.125"), places=2) == Decimal("0.12")
    assert quantise(Decimal("0.135"), places=2) == Decimal("0.14")


@given(stored, increments)
def test_rounding_down_gives_the_nearest_multiple_towards_zero(value: Decimal, increment: Decimal) -> None:
    rounded = round_to_increment(value, increment=increment, rounding=ROUND_DOWN)

    with exact():
        assert rounded % increment == 0
        assert abs(rounded) <= abs(value)
        assert abs(value) - abs(rounded) < increment


@given(stored, increments)
def test_rounding_twice_changes_nothing(value: Decimal, increment: Decimal) -> None:
    once = round_to_increment(value, increment=increment, rounding=ROUND_HALF_EVEN)

    assert round_to_increment(once, increment=increment, rounding=ROUND_HALF_EVEN) == once


def test_rounding_to_an_increment_of_zero_is_refused() -> None:
    with pytest.raises(InvalidDecimal, match="increment must be positive"):
        round_to_increment(Decimal(1), increment=Decimal(0), rounding=ROUND_DOWN)


def test_settlement_currencies_are_at_par_with_usd() -> None:
    assert [at_par_with_usd(currency) for currency in ("USD", "USDT", "USDC", "EUR", "BTC")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_amounts_are_written_in_order_of_currency() -> None:
    amounts = {"USDT": Decimal("5.50"), "BTC": Decimal("1E-8")}

    assert list(amounts_text(amounts).items()) == [("BTC", "0.00000001"), ("USDT", "5.5")]
