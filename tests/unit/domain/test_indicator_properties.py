"""What holds for the indicators of any prices: ranges, order, units, shifts, mirrors.

Prices are whole ticks, so that a shift or a scale by a power of two is exact and what is compared is the
indicator, not the rounding of its input.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from alphapulse.domain.activity import obv, realised_volatility
from alphapulse.domain.directional import adx, efficiency_ratio
from alphapulse.domain.indicators import FloatArray, atr, bollinger, macd, rsi

EXACT_SCALES = st.integers(-40, 40).map(lambda power: 2.0**power)
SCALES = st.floats(1e-9, 1e9)
SHIFTS = st.integers(1, 10**6).map(float)
CLOSE = 1e-9


class Bars(NamedTuple):
    high: FloatArray
    low: FloatArray
    close: FloatArray


@st.composite
def ticks(draw: st.DrawFn) -> Bars:
    bars = draw(st.integers(40, 150))
    close = draw(hn.arrays(np.float64, bars, elements=st.integers(2_000, 10**6).map(float)))
    upper, lower = (
        draw(hn.arrays(np.float64, bars, elements=st.integers(0, 1_000).map(float))) for _ in range(2)
    )
    opened = np.concatenate([close[:1], close[:-1]])
    return Bars(np.maximum(opened, close) + upper, np.minimum(opened, close) - lower, close)


def equal(found: FloatArray, expected: FloatArray, *, within: float = CLOSE) -> None:
    np.testing.assert_allclose(found, expected, rtol=within, atol=within)


@settings(max_examples=40)
@given(ticks())
def test_bounded_indicators_stay_in_their_bounds(bars: Bars) -> None:
    lines = adx(*bars)

    for values in (rsi(bars.close), lines.adx, lines.plus_di, lines.minus_di):
        assert ((values >= 0.0) & (values <= 100.0)).all()
    efficiency = efficiency_ratio(bars.close)
    assert ((efficiency >= 0.0) & (efficiency <= 1.0)).all()
    assert (atr(*bars) >= 0.0).all()
    assert (realised_volatility(bars.close, 20) >= 0.0).all()


@settings(max_examples=40)
@given(ticks(), st.floats(0.1, 5.0))
def test_bollinger_bands_lie_in_order_around_the_mean(bars: Bars, deviations: float) -> None:
    bands = bollinger(bars.close, deviations=deviations)

    assert (bands.lower <= bands.middle).all()
    assert (bands.middle <= bands.upper).all()
    equal(bands.upper - bands.middle, deviations * bands.deviation)


@settings(max_examples=40)
@given(ticks(), SCALES)
def test_rsi_adx_and_efficiency_do_not_know_the_unit_of_the_price(bars: Bars, scale: float) -> None:
    scaled = Bars(*(column * scale for column in bars))

    equal(rsi(scaled.close), rsi(bars.close), within=1e-6)
    equal(efficiency_ratio(scaled.close), efficiency_ratio(bars.close), within=1e-6)


@settings(max_examples=40)
@given(ticks(), EXACT_SCALES)
def test_exact_change_of_unit_leaves_directions_and_volatility_and_scales_the_rest(
    bars: Bars, scale: float
) -> None:
    scaled = Bars(*(column * scale for column in bars))
    plain, lines = adx(*bars), adx(*scaled)

    equal(lines.adx, plain.adx)
    equal(lines.plus_di, plain.plus_di)
    equal(lines.minus_di, plain.minus_di)
    equal(rsi(scaled.close), rsi(bars.close))
    equal(realised_volatility(scaled.close, 20), realised_volatility(bars.close, 20))
    equal(macd(scaled.close).histogram / scale, macd(bars.close).histogram, within=1e-7)
    equal(atr(*scaled) / scale, atr(*bars))
    equal(bollinger(scaled.close).deviation / scale, bollinger(bars.close).deviation, within=1e-7)


@settings(max_examples=40)
@given(ticks(), SHIFTS)
def test_shift_of_all_prices_leaves_every_measure_of_change(bars: Bars, shift: float) -> None:
    shifted = Bars(*(column + shift for column in bars))

    equal(rsi(shifted.close), rsi(bars.close))
    equal(adx(*shifted).adx, adx(*bars).adx)
    equal(atr(*shifted), atr(*bars))
    equal(efficiency_ratio(shifted.close), efficiency_ratio(bars.close))
    equal(macd(shifted.close).histogram, macd(bars.close).histogram, within=1e-6)
    equal(bollinger(shifted.close).middle, bollinger(bars.close).middle + shift)
    # The root of a variance of nothing magnifies rounding: the widths are compared squared.
    equal(
        np.square(bollinger(shifted.close).deviation), np.square(bollinger(bars.close).deviation), within=1e-6
    )


@settings(max_examples=40)
@given(ticks())
def test_mirrored_prices_mirror_rsi_macd_and_directions(bars: Bars) -> None:
    mirrored = Bars(-bars.low, -bars.high, -bars.close)
    plain, lines = adx(*bars), adx(*mirrored)
    moved = (rsi(bars.close) > 0.0) | (rsi(mirrored.close) > 0.0)

    equal(rsi(mirrored.close)[moved], 100.0 - rsi(bars.close)[moved])
    equal(macd(mirrored.close).histogram, -macd(bars.close).histogram, within=1e-7)
    equal(lines.adx, plain.adx)
    equal(lines.plus_di, plain.minus_di)


@settings(max_examples=40)
@given(ticks(), st.data())
def test_on_balance_volume_moves_by_the_volume_of_bars_that_move(bars: Bars, data: st.DataObject) -> None:
    whole = st.integers(0, 10**6).map(float)
    volume = data.draw(hn.arrays(np.float64, len(bars.close), elements=whole))

    steps = np.diff(obv(bars.close, volume))

    np.testing.assert_array_equal(np.abs(steps), np.where(np.diff(bars.close) == 0.0, 0.0, volume[1:]))
