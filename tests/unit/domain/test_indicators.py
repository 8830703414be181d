import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from alphapulse.domain import incremental
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
ORACLE_TOLERANCE = 1e-8

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


def real_prices(directory: Path) -> Prices:
    with gzip.open(directory / "BTC-USD_1d.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Prices(*(np.array([float(row[column]) for row in rows]) for column in ("high", "low", "close")))


@pytest.fixture(params=["random", "real"])
def prices(request: pytest.FixtureRequest) -> Prices:
    if request.param == "random":
        return random_prices()
    return real_prices(request.getfixturevalue("market_data"))


def assert_equals_oracle(found: Floats, oracle: Floats) -> None:
    defined = oracle[~np.isnan(oracle)]
    assert len(found) == len(defined)
    np.testing.assert_allclose(found, defined, rtol=0.0, atol=ORACLE_TOLERANCE)


def test_rsi_gives_the_published_values() -> None:
    np.testing.assert_allclose(rsi(PUBLISHED_CLOSES), PUBLISHED_RSI, rtol=0.0, atol=6e-5)


def test_rsi_equals_talib(prices: Prices) -> None:
    assert_equals_oracle(rsi(prices.close), talib.RSI(prices.close, 14))


def test_macd_equals_talib(prices: Prices) -> None:
    found = macd(prices.close)

    for line, oracle in zip(
        (found.macd, found.signal, found.histogram), talib.MACD(prices.close), strict=True
    ):
        assert_equals_oracle(line, oracle)


def test_bollinger_bands_equal_talib(prices: Prices) -> None:
    found = bollinger(prices.close)

    oracle = talib.BBANDS(prices.close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    for band, expected in zip((found.upper, found.middle, found.lower), oracle, strict=True):
        assert_equals_oracle(band, expected)


def test_atr_equals_talib(prices: Prices) -> None:
    assert_equals_oracle(atr(*prices), talib.ATR(*prices, 14))


@pytest.mark.parametrize("period", [2, 14, 50, 200])
def test_averages_equal_talib(prices: Prices, period: int) -> None:
    assert_equals_oracle(ema(prices.close, period), talib.EMA(prices.close, period))
    assert_equals_oracle(sma(prices.close, period), talib.SMA(prices.close, period))


@pytest.mark.parametrize(("fast", "slow", "signal"), [(3, 10, 16), (5, 35, 5)])
def test_macd_of_other_periods_equals_talib(fast: int, slow: int, signal: int) -> None:
    close = random_prices().close

    assert_equals_oracle(
        macd(close, fast=fast, slow=slow, signal=signal).signal, talib.MACD(close, fast, slow, signal)[1]
    )


def test_every_indicator_bar_by_bar_gives_the_same_numbers(prices: Prices) -> None:
    lines, bands = macd(prices.close), bollinger(prices.close)
    of_close: dict[Callable[[float], object], Floats] = {
        incremental.Rsi().update: rsi(prices.close),
        incremental.Ema(50).update: ema(prices.close, 50),
        incremental.Sma(50).update: sma(prices.close, 50),
        incremental.Macd().update: np.column_stack([lines.macd, lines.signal, lines.histogram]),
        incremental.Bollinger().update: np.column_stack([bands.upper, bands.middle, bands.lower]),
    }

    for update, whole in of_close.items():
        stepped = [value for close in prices.close.tolist() if (value := update(close)) is not None]
        np.testing.assert_allclose(stepped, whole, rtol=1e-12, atol=ORACLE_TOLERANCE)


def test_atr_bar_by_bar_gives_the_same_numbers(prices: Prices) -> None:
    average = incremental.Atr()
    bars = zip(*(series.tolist() for series in prices), strict=True)

    stepped = [value for bar in bars if (value := average.update(*bar)) is not None]

    np.testing.assert_allclose(stepped, atr(*prices), rtol=1e-12, atol=ORACLE_TOLERANCE)


ONE_INPUT: list[tuple[Callable[[Floats], object], int]] = [
    (rsi, 15),
    (macd, 34),
    (bollinger, 20),
    (lambda series: atr(series, series, series), 15),
    (lambda series: ema(series, 50), 50),
    (lambda series: sma(series, 50), 50),
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

    np.testing.assert_allclose(found[14:], PUBLISHED_RSI, rtol=0.0, atol=6e-5)


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
    ],
)
def test_impossible_settings_and_shapes_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(IndicatorError):
        wrong()


def test_closes_that_never_move_have_an_rsi_of_zero_as_in_talib() -> None:
    flat = np.full(40, 7.0)

    assert rsi(flat).tolist() == [0.0] * 26
    assert_equals_oracle(rsi(flat), talib.RSI(flat, 14))


@given(
    st.lists(st.floats(min_value=0.01, max_value=1e6), min_size=34, max_size=150),
    st.integers(min_value=1, max_value=100),
)
def test_indicators_of_any_prices_are_finite_and_in_their_range(closes: list[float], shift: int) -> None:
    index, bands, lines = rsi(closes), bollinger(closes), macd(closes)

    assert ((index >= 0.0) & (index <= 100.0)).all()
    assert (bands.lower <= bands.upper).all()
    assert np.isfinite(lines.histogram).all()
    # Moving all prices up leaves every change, and so the MACD, as it was.
    np.testing.assert_allclose(macd(np.array(closes) + shift).histogram, lines.histogram, atol=1e-6)
