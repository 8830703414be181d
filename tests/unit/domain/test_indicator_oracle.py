"""Indicators beside TA-Lib, on all real candles and on random walks, and bar by bar beside themselves.

A figure may differ from the oracle's by 1e-8, and where the figures themselves are less than 1 (prices of
0.002 BTC have MACD lines of 1e-5) by 1e-8 of the largest of the series. Bollinger bands alone are compared
relatively: TA-Lib takes the variance as the mean of squares less the square of the mean, of whose digits
prices of thousands cancel most.
"""

import csv
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import talib

from alphapulse.domain import incremental
from alphapulse.domain.activity import obv, realised_volatility
from alphapulse.domain.directional import adx, efficiency_ratio
from alphapulse.domain.indicators import FloatArray, atr, bollinger, ema, macd, rsi, sma

TOLERANCE = 1e-8
FILES = (
    "BTC-PERP_1m",
    "BTC-USD_1d",
    "DASH-BTC_5m",
    "ETC-BTC_5m",
    "ETH-BTC_5m",
    "LTC-BTC_5m",
    "XMR-BTC_5m",
)
WALKS = ("walk of 2 %", "walk of 0.1 %", "walk of 5 %", "walk around 0.001")


class Columns(NamedTuple):
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


def random_walk(*, start: float, step: float, seed: int, bars: int = 3_000) -> Columns:
    generator = np.random.default_rng(seed)
    close = start * np.exp(np.cumsum(generator.normal(0.0, step, bars)))
    wicks = np.abs(generator.normal(0.0, step / 2.0, (2, bars)))
    return Columns(
        close * (1.0 + wicks[0]), close / (1.0 + wicks[1]), close, generator.lognormal(3.0, 1.0, bars)
    )


def candles(path: Path) -> Columns:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Columns(*(np.array([float(row[name]) for row in rows]) for name in Columns._fields))


@pytest.fixture(scope="module", params=[*WALKS, *FILES])
def columns(request: pytest.FixtureRequest) -> Columns:
    if request.param in WALKS:
        step = {"walk of 0.1 %": 0.001, "walk of 5 %": 0.05}.get(request.param, 0.02)
        start = 0.001 if request.param == "walk around 0.001" else 30_000.0
        return random_walk(start=start, step=step, seed=WALKS.index(request.param))
    path: Path = request.getfixturevalue("market_data") / f"{request.param}.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the real candles")
    return candles(path)


def assert_equals_oracle(
    found: FloatArray, oracle: FloatArray, *, lookback: int, relative: float = 0.0
) -> None:
    assert len(found) == len(oracle) - lookback
    expected = oracle[lookback:]
    scale = min(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=relative, atol=TOLERANCE * scale)


@pytest.mark.parametrize("period", [2, 14, 50])
def test_rsi_equals_talib(columns: Columns, period: int) -> None:
    assert_equals_oracle(rsi(columns.close, period), talib.RSI(columns.close, period), lookback=period)


@pytest.mark.parametrize("periods", [(12, 26, 9), (3, 10, 16), (5, 35, 5)])
def test_macd_equals_talib(columns: Columns, periods: tuple[int, int, int]) -> None:
    fast, slow, signal = periods
    found = macd(columns.close, fast=fast, slow=slow, signal=signal)

    lines = (found.macd, found.signal, found.histogram)
    for line, oracle in zip(lines, talib.MACD(columns.close, *periods), strict=True):
        assert_equals_oracle(line, oracle, lookback=slow + signal - 2)


@pytest.mark.parametrize("period", [5, 20, 100])
def test_bollinger_bands_equal_talib(columns: Columns, period: int) -> None:
    found = bollinger(columns.close, period)

    oracle = talib.BBANDS(columns.close, timeperiod=period, nbdevup=2.0, nbdevdn=2.0)
    for band, expected in zip((found.upper, found.middle, found.lower), oracle, strict=True):
        assert_equals_oracle(band, expected, lookback=period - 1, relative=TOLERANCE)


@pytest.mark.parametrize("period", [2, 14, 50])
def test_atr_equals_talib(columns: Columns, period: int) -> None:
    bars = columns[:3]

    assert_equals_oracle(atr(*bars, period), talib.ATR(*bars, period), lookback=period)


@pytest.mark.parametrize("period", [2, 14, 50])
def test_adx_and_its_indicators_equal_talib(columns: Columns, period: int) -> None:
    bars, lookback = columns[:3], 2 * period - 1
    found = adx(*bars, period)

    assert_equals_oracle(found.adx, talib.ADX(*bars, period), lookback=lookback)
    assert_equals_oracle(found.plus_di, talib.PLUS_DI(*bars, period), lookback=lookback)
    assert_equals_oracle(found.minus_di, talib.MINUS_DI(*bars, period), lookback=lookback)


@pytest.mark.parametrize("period", [2, 14, 200])
def test_averages_equal_talib(columns: Columns, period: int) -> None:
    close = columns.close

    assert_equals_oracle(ema(close, period), talib.EMA(close, period), lookback=period - 1)
    assert_equals_oracle(sma(close, period), talib.SMA(close, period), lookback=period - 1)


def test_on_balance_volume_equals_talib(columns: Columns) -> None:
    found = obv(columns.close, columns.volume)

    assert_equals_oracle(found, talib.OBV(columns.close, columns.volume), lookback=0)


def of_close(close: FloatArray) -> Iterator[tuple[Callable[[float], object], FloatArray]]:
    lines, bands = macd(close), bollinger(close)
    yield incremental.Rsi().update, rsi(close)
    yield incremental.Ema(50).update, ema(close, 50)
    yield incremental.Sma(50).update, sma(close, 50)
    yield incremental.Macd().update, np.column_stack([lines.macd, lines.signal, lines.histogram])
    yield incremental.Bollinger().update, np.column_stack([bands.upper, bands.middle, bands.lower])
    yield incremental.EfficiencyRatio().update, efficiency_ratio(close)
    yield incremental.RealisedVolatility(20).update, realised_volatility(close, 20)


def assert_same_numbers(stepped: list[object], whole: FloatArray) -> None:
    scale = min(1.0, float(np.abs(whole).max()))
    np.testing.assert_allclose(np.array(stepped), whole, rtol=1e-12, atol=TOLERANCE * scale)


def test_indicators_of_closes_bar_by_bar_give_the_same_numbers(columns: Columns) -> None:
    closes = columns.close.tolist()

    for update, whole in of_close(columns.close):
        assert_same_numbers([value for close in closes if (value := update(close)) is not None], whole)


def test_indicators_of_bars_bar_by_bar_give_the_same_numbers(columns: Columns) -> None:
    bars, lines = [column.tolist() for column in columns], adx(*columns[:3])
    average, index, balance = incremental.Atr(), incremental.Adx(), incremental.Obv()
    ranges, directions, volumes = [], [], []

    for high, low, close, volume in zip(*bars, strict=True):
        ranges.append(average.update(high, low, close))
        directions.append(index.update(high, low, close))
        volumes.append(balance.update(close, volume))

    assert_same_numbers([value for value in ranges if value is not None], atr(*columns[:3]))
    stepped = [value for value in directions if value is not None]
    assert_same_numbers([*stepped], np.column_stack([lines.adx, lines.plus_di, lines.minus_di]))
    assert_same_numbers([*volumes], obv(columns.close, columns.volume))


@pytest.mark.parametrize("count", [50, 500, 10**6])
def test_newest_value_alone_is_the_last_of_all(columns: Columns, count: int) -> None:
    bars = columns.high[-count:], columns.low[-count:], columns.close[-count:]
    close = bars[2]
    whole, lines, directions = macd(close), macd(close, newest=True), adx(*bars, newest=True)
    pairs = [
        (rsi(close, newest=True), rsi(close)),
        (ema(close, 50, newest=True), ema(close, 50)),
        (atr(*bars, newest=True), atr(*bars)),
        (lines.macd, whole.macd),
        (lines.signal, whole.signal),
        (lines.histogram, whole.histogram),
        (directions.adx, adx(*bars).adx),
        (directions.plus_di, adx(*bars).plus_di),
        (directions.minus_di, adx(*bars).minus_di),
    ]

    for newest, every in pairs:
        assert newest.shape == (1,)
        # What is near zero is a difference of figures as large as prices.
        atol = 1e-13 * max(float(np.abs(every).max()), float(close.max()))
        np.testing.assert_allclose(newest[0], every[-1], rtol=0.0, atol=atol)
