from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import talib
from numpy.typing import NDArray

from alphapulse.domain import incremental
from alphapulse.domain.activity import obv, realised_volatility
from alphapulse.domain.directional import adx, efficiency_ratio
from alphapulse.domain.indicators import (
    IndicatorError,
    NotEnoughBars,
    NotFinite,
    atr,
    bollinger,
    ema,
    macd,
    rsi,
    sma,
    true_range,
)

Floats = NDArray[np.float64]

# StockCharts, ChartSchool, Relative Strength Index, its spreadsheet example; TA-Lib agrees.
_CLOSES = """
44.3389 44.0902 44.1497 43.6124 44.3278 44.8264 45.0955 45.4245 45.8433 46.0826 45.8931 46.0328 45.614
46.282 46.282 46.0028 46.0328 46.4116 46.2222 45.6439 46.2122 46.2521 45.7137 46.4515 45.7835 45.3548
44.0288 44.1783 44.2181 44.5672 43.4205 42.6628 43.1314
"""
_RSI = """
70.5328 66.3186 66.5498 69.4063 66.3552 57.9749 62.9296 63.2571 56.0593 62.3771 54.7076 50.4228 39.9898
41.4605 41.8689 45.4632 37.304 33.0795 37.773
"""
PUBLISHED_CLOSES = [float(text) for text in _CLOSES.split()]
PUBLISHED_RSI = [float(text) for text in _RSI.split()]


class Prices(NamedTuple):
    high: Floats
    low: Floats
    close: Floats


def random_prices(seed: int = 20260101, bars: int = 2_000) -> Prices:
    generator = np.random.default_rng(seed)
    close = 30_000.0 * np.exp(np.cumsum(generator.normal(0.0, 0.02, bars)))
    wicks = np.abs(generator.normal(0.0, 0.01, (2, bars)))
    return Prices(close * (1.0 + wicks[0]), close * (1.0 - wicks[1]), close)


def test_rsi_gives_the_published_values() -> None:
    np.testing.assert_allclose(rsi(PUBLISHED_CLOSES), PUBLISHED_RSI, rtol=0.0, atol=6e-5)


ONE_INPUT: list[tuple[Callable[[Floats], object], int]] = [
    (rsi, 15),
    (macd, 34),
    (bollinger, 20),
    (lambda series: atr(series, series, series), 15),
    (lambda series: ema(series, 50), 50),
    (lambda series: sma(series, 50), 50),
    (lambda series: adx(series, series, series), 28),
    (efficiency_ratio, 11),
    (lambda series: realised_volatility(series, 20), 21),
    (lambda series: obv(series, series), 1),
]


@pytest.mark.parametrize(("indicator", "needed"), ONE_INPUT)
def test_one_bar_too_few_is_an_error_with_both_numbers(
    indicator: Callable[[Floats], object], needed: int
) -> None:
    close = random_prices().close

    indicator(close[:needed])
    with pytest.raises(NotEnoughBars, match=f"needs {needed} bars, found {needed - 1}") as refused:
        indicator(close[: needed - 1])

    assert (refused.value.needed, refused.value.found) == (needed, needed - 1)


@pytest.mark.parametrize("indicator", [indicator for indicator, _ in ONE_INPUT])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_is_refused_with_its_place(
    indicator: Callable[[Floats], object], value: float
) -> None:
    close = random_prices().close
    close[70] = value

    with pytest.raises(NotFinite, match="value 70 of the series is not finite"):
        indicator(close)


def test_incremental_indicator_refuses_nan_and_keeps_its_state() -> None:
    index = incremental.Rsi()
    found = [index.update(close) for close in PUBLISHED_CLOSES[:20]]
    with pytest.raises(NotFinite):
        index.update(float("nan"))

    found += [index.update(close) for close in PUBLISHED_CLOSES[20:]]

    np.testing.assert_allclose(np.array(found[14:]), PUBLISHED_RSI, rtol=0.0, atol=6e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ema([1.0, 2.0], 0),
        lambda: macd(PUBLISHED_CLOSES, fast=26, slow=12),
        lambda: rsi([[1.0] * 20] * 20),
        lambda: true_range([1.0, 2.0], [1.0, 2.0, 3.0], [1.0, 2.0]),
        lambda: incremental.Macd(fast=26, slow=12),
        lambda: incremental.Wilder(0),
        lambda: incremental.Sma(0),
        lambda: adx(PUBLISHED_CLOSES, PUBLISHED_CLOSES, PUBLISHED_CLOSES, 1),
        lambda: adx(PUBLISHED_CLOSES[1:], PUBLISHED_CLOSES, PUBLISHED_CLOSES),
        lambda: incremental.Adx(1),
        lambda: obv([1.0, 2.0], [1.0]),
        lambda: realised_volatility([*PUBLISHED_CLOSES, 0.0], 5),
        lambda: incremental.RealisedVolatility(5).update(0.0),
    ],
)
def test_impossible_settings_and_shapes_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(IndicatorError):
        wrong()


def test_closes_that_never_move_have_an_rsi_of_zero_as_in_talib() -> None:
    flat = np.full(40, 7.0)

    assert rsi(flat).tolist() == [0.0] * 26
    assert talib.RSI(flat, 14)[14:].tolist() == [0.0] * 26


def test_bars_that_never_move_have_no_direction_as_in_talib() -> None:
    flat = np.full(60, 7.0)

    lines = adx(flat, flat, flat)

    assert lines.adx.tolist() == lines.plus_di.tolist() == lines.minus_di.tolist() == [0.0] * 33
    assert talib.ADX(flat, flat, flat, 14)[27:].tolist() == [0.0] * 33
    assert efficiency_ratio(flat).tolist() == [0.0] * 50


def test_steady_rise_is_fully_efficient_and_a_return_to_the_start_not_at_all() -> None:
    assert efficiency_ratio(np.arange(1.0, 40.0)).tolist() == [1.0] * 29
    assert efficiency_ratio([1.0, 2.0, 3.0, 2.0, 1.0], 4).tolist() == [0.0]


def test_realised_volatility_of_equal_steps_is_the_step() -> None:
    closes = np.exp(0.01 * np.arange(30.0))

    np.testing.assert_allclose(realised_volatility(closes, 20), 0.01, rtol=1e-12)


def test_adx_refuses_ranges_that_overflow() -> None:
    high, low = np.full(60, 1.7e308), np.full(60, 1.0)
    low[::2] = -1.7e308

    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(NotFinite, match="too large"):
        adx(high, low, low)
