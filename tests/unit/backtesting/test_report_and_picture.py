"""The report says what it rests on; thinning keeps extremes; the picture is a PNG that can be read."""

import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.backtesting.pictures import picture
from alphapulse.backtesting.report import headline, report, thinned
from alphapulse.backtesting.request import BacktestRequest
from alphapulse.backtesting.watch import Stopped, TimeLimitPassed, Watch
from alphapulse.domain.backtest.run import Backtest, Result, run
from tests.unit.domain.backtest.markets import FOLLOW, evidence_of, random_bars

ASKED = {"symbol": "BTC-USD", "interval": "1d", "agent": "technical"}


def reported(
    bars: int = 90, *, missing: frozenset[int] = frozenset({20, 21, 40}), **more: Any
) -> tuple[dict[str, Any], Result]:
    request = BacktestRequest.of(ASKED | more)
    candles = random_bars(bars, seed=4, missing=missing)
    evidence = evidence_of(candles, missing={"posts": "no key is set"})
    backtest = Backtest(FOLLOW, {}, request.terms, request.plan)
    result = run(backtest, candles, evidence)
    return report(request, backtest, evidence, result), result


def test_the_report_states_bars_gaps_fees_sources_and_assumptions() -> None:
    document, result = reported(fee_bps="20", folds=2)

    assert (document["bars"], document["learnt_bars"]) == (60, 30)
    assert document["terms"]["fee_bps"] == "20"
    assert document["gaps"]["count"] == 1
    assert document["gaps"]["missing_bars"] == 1
    assert (document["source"], document["simulated"]) == ("directory", False)
    assert document["datasets"]["missing"] == {"posts": "no key is set"}
    assert document["parameters"] == {"lookback": 3}
    assert len(document["folds"]) == 2
    assert any("risk-free rate 0" in text for text in document["assumptions"])
    assert document["activity"]["trades"] == len(document["trades"]) == len(result.simulation.trades)
    assert json.loads(json.dumps(document)) == document
    assert headline(document)["final_equity"] == document["figures"]["final_equity"]


def test_amounts_are_texts_that_balance() -> None:
    document, _ = reported()

    paid = sum(Decimal(trade["fees"]) for trade in document["trades"])
    if document["open_position"] is not None:
        paid += Decimal(document["open_position"]["fee"])
    assert paid == pytest.approx(Decimal(document["activity"]["fees"]), abs=Decimal("1e-6"))
    assert document["curve"]["equity"][-1] == document["figures"]["final_equity"]


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=400), st.sampled_from([8, 40, 100]))
def test_a_thinned_curve_keeps_its_ends_and_extremes(values: list[float], most: int) -> None:
    curve = np.array(values)

    kept = thinned(curve, most)

    assert kept == sorted(set(kept))
    assert len(kept) <= max(most, 1)
    assert {0, len(values) - 1} <= set(kept)
    assert (curve[kept].min(), curve[kept].max()) == (curve.min(), curve.max())


@pytest.mark.parametrize("more", [{}, {"folds": 3}, {"short": True, "position_fraction": "0.5"}])
def test_the_picture_is_a_png_with_something_drawn_in_it(more: dict[str, Any]) -> None:
    document, result = reported(**more)

    drawn = matplotlib.image.imread(io.BytesIO(picture(document, result)))

    assert drawn.shape[:2] == (840, 1320)
    pixels = np.rint(drawn[..., :3] * 255)
    # The lines of the agent and of buy-and-hold.
    for colour in ((0x1F, 0x6F, 0x8B), (0xB0, 0x80, 0x3A)):
        assert np.all(pixels == colour, axis=-1).sum() > 500


def test_each_missing_bar_is_a_stripe_as_wide_as_a_bar() -> None:
    one, four = (stripes(picture(*reported(missing=frozenset(days)))) for days in ([40], [40, 50, 51, 60]))

    # 1,160 points for 90 bars, behind two lines.
    assert 9 <= one <= 14
    assert four == pytest.approx(4 * one, abs=5)


def stripes(png: bytes) -> int:
    """Return how many points across a line just below the upper edge of the picture's upper part are red."""
    row = np.rint(matplotlib.image.imread(io.BytesIO(png))[145, :, :3] * 255)
    return int(np.all(np.abs(row - (249, 232, 231)) <= 2, axis=-1).sum())


def test_a_watch_stops_when_told_and_when_the_time_is_over() -> None:
    now = [0.0]
    watch = Watch(dt.timedelta(seconds=5), monotonic=lambda: now[0])
    watch.tick(3, 12)
    assert watch.progress == 0.25

    now[0] = 5.1
    with pytest.raises(TimeLimitPassed, match=r"after 5 s, .* 6 of 12 evaluations were done"):
        watch.tick(6, 12)
    watch.stop()
    with pytest.raises(Stopped):
        watch.tick(7, 12)
