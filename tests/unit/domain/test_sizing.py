"""Sizes of positions; the Kelly examples are the textbook's."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.instruments import Instrument
from alphapulse.domain.sizing import (
    InvalidSizing,
    fixed_fractional_quantity,
    kelly_fraction,
    kelly_weights,
    volatility_target_fraction,
)

BTC = Instrument("BTC-USDT", lot=Decimal("0.001"), tick=Decimal("0.01"), min_notional=Decimal(10))


@pytest.mark.parametrize(("probability", "payoff", "expected"), [(0.6, 1.0, 0.20), (0.5, 2.0, 0.25)])
def test_full_kelly_of_the_textbook(probability: float, payoff: float, expected: float) -> None:
    assert kelly_fraction(probability, payoff) == pytest.approx(expected, abs=1e-15)


def test_kelly_is_a_fraction_capped_and_never_negative() -> None:
    assert kelly_fraction(0.6, 1.0, fraction=0.5) == pytest.approx(0.1)
    assert kelly_fraction(0.9, 5.0, cap=0.3) == 0.3
    assert kelly_fraction(0.4, 1.0) == 0.0
    assert kelly_fraction(1.0, 1.0) == 1.0


def test_kelly_of_several_assets_is_inverse_covariance_times_mean() -> None:
    mean, matrix = [0.02, 0.01], np.array([[0.04, 0.01], [0.01, 0.09]])

    found = kelly_weights(mean, matrix)

    assert matrix @ found == pytest.approx(mean)
    assert kelly_weights(mean, matrix, fraction=0.5) == pytest.approx(found / 2)
    capped = kelly_weights(mean, matrix, cap=0.1)
    assert np.abs(capped).sum() == pytest.approx(0.1)
    assert capped / capped[0] == pytest.approx(found / found[0])
    assert kelly_weights([0.02], [[0.04]]) == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("mean", "matrix", "message"),
    [
        ([0.1, 0.1], [[1.0, 1.0], [1.0, 1.0]], "shrink"),
        ([0.1, 0.1], [[1.0, 2.0], [2.0, 1.0]], "not positive definite"),
        ([0.1], [[0.0]], "shrink"),
        ([0.1, 0.2], [[1.0]], "do not fit"),
        ([math.nan], [[1.0]], "finite"),
    ],
)
def test_kelly_without_an_inverse_is_refused(
    mean: list[float], matrix: list[list[float]], message: str
) -> None:
    with pytest.raises(InvalidSizing, match=message):
        kelly_weights(mean, matrix)


def fractional(equity: str, risk: str = "1", entry: str = "50000", stop: str = "48500") -> Decimal:
    return fixed_fractional_quantity(
        Decimal(equity), risk_pct=Decimal(risk), entry=Decimal(entry), stop=Decimal(stop), instrument=BTC
    )


def test_fixed_fractional_rounds_down_to_the_lot() -> None:
    # 100,000 * 1 % / 1,500 = 0.66666...
    assert fractional("100000") == Decimal("0.666")
    # A short position, whose stop is above.
    assert fractional("100000", stop="51500") == Decimal("0.666")
    assert fractional("100") == 0
    assert fractional("-5") == 0


@given(
    equity=st.decimals("1", "1e9", places=2),
    risk=st.decimals("0.01", "100", places=2),
    entry=st.decimals("0.01", "1e6", places=2),
    distance=st.decimals("0.01", "1e5", places=2),
)
def test_reaching_the_stop_never_costs_more_than_was_risked(
    equity: Decimal, risk: Decimal, entry: Decimal, distance: Decimal
) -> None:
    quantity = fixed_fractional_quantity(
        equity, risk_pct=risk, entry=entry, stop=entry + distance, instrument=BTC
    )

    assert quantity * distance <= equity * risk / 100
    assert quantity % BTC.lot == 0


def test_volatility_target_lowers_what_moves_too_much() -> None:
    assert volatility_target_fraction(0.2, 0.8) == pytest.approx(0.25)
    assert volatility_target_fraction(0.2, 0.1) == 1.0
    assert volatility_target_fraction(0.2, 0.1, cap=3.0) == pytest.approx(2.0)


def test_what_makes_no_sense_is_refused_with_what_was_found() -> None:
    for probability in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidSizing, match="win_probability"):
            kelly_fraction(probability, 1.0)
    with pytest.raises(InvalidSizing, match=r"payoff_ratio must be positive, was 0\.0"):
        kelly_fraction(0.5, 0.0)
    with pytest.raises(InvalidSizing, match="fraction"):
        kelly_fraction(0.5, 1.0, fraction=1.5)
    with pytest.raises(InvalidSizing, match="cap"):
        kelly_fraction(0.5, 1.0, cap=-0.1)
    with pytest.raises(InvalidSizing, match="risk_pct"):
        fractional("100", risk="0")
    with pytest.raises(InvalidSizing, match="stop must differ from entry, was 50000"):
        fractional("100", stop="50000")
    with pytest.raises(InvalidSizing, match="forecast_volatility"):
        volatility_target_fraction(0.2, 0.0)
