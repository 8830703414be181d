"""Stress: what was, and what might be, by hand."""

import datetime as dt
import math

import numpy as np
import pytest

from alphapulse.domain.risk import stress
from alphapulse.domain.risk.returns import InvalidReturns, NotEnoughObservations, RiskError

DAYS = [dt.date(2022, 11, 5) + dt.timedelta(days=number) for number in range(8)]
FTX = next(window for window in stress.KNOWN_WINDOWS if "FTX" in window.name)


def test_window_is_replayed_with_positions_left_alone() -> None:
    # The window is 6 to 10 November: days 1 to 5.
    returns = {
        "BTC": [0.5, -0.1, -0.1, 0.0, 0.0, 0.1, 0.5, 0.5],
        "ETH": [0.5, 0.0, 0.0, -0.5, 0.2, 0.0, 0.5, 0.5],
    }

    found = stress.replay_window(FTX, {"BTC": 0.5, "ETH": 0.25}, days=DAYS, returns=returns)

    # BTC 0.9 * 0.9 * 1.1 = 0.891; ETH 0.5 * 1.2 = 0.6; a quarter is cash.
    assert found.loss == pytest.approx(0.5 * 0.109 + 0.25 * 0.4)
    # The deepest point is the third day: BTC 0.81, ETH 0.5.
    assert found.worst == pytest.approx(0.5 * 0.19 + 0.25 * 0.5)
    assert (found.name, found.missing) == (FTX.name, ())


def test_assets_without_figures_are_named_and_count_as_unchanged() -> None:
    returns = {"BTC": [-0.1] * 8, "NEW": [math.nan] * 8}

    found = stress.replay_window(FTX, {"BTC": 0.5, "NEW": 0.3, "GONE": 0.2}, days=DAYS, returns=returns)

    assert found.loss == pytest.approx(0.5 * (1 - 0.9**5))
    assert found.missing == ("GONE", "NEW")
    nothing = stress.replay_window(FTX, {"NEW": 1.0}, days=DAYS, returns=returns)
    assert (nothing.loss, nothing.missing) == (0.0, ("NEW",))


def test_window_that_is_not_in_the_figures_is_refused() -> None:
    with pytest.raises(NotEnoughObservations):
        stress.replay_window(FTX, {"BTC": 1.0}, days=[dt.date(2020, 1, 1)], returns={"BTC": [0.1]})
    with pytest.raises(InvalidReturns, match="8 days"):
        stress.replay_window(FTX, {"BTC": 1.0}, days=DAYS, returns={"BTC": [0.1]})


def test_worst_stretch_is_found() -> None:
    returns = np.array([[0.1], [-0.1], [-0.2], [-0.1], [0.3]])

    assert stress.worst_window(returns, [1.0], periods=1) == (2, pytest.approx(0.2))
    assert stress.worst_window(returns, [1.0], periods=2) == (1, pytest.approx(1 - 0.9 * 0.8))
    assert stress.worst_window(returns, [0.5], periods=3) == (1, pytest.approx(0.5 * (1 - 0.9 * 0.8 * 0.9)))
    with pytest.raises(NotEnoughObservations):
        stress.worst_window(returns, [1.0], periods=6)
    with pytest.raises(RiskError, match="periods"):
        stress.worst_window(returns, [1.0], periods=0)
    with pytest.raises(InvalidReturns, match="weight"):
        stress.worst_window(returns, [1.0, 0.0], periods=1)


def test_shock_moves_others_by_their_beta() -> None:
    found = stress.shock(
        "BTC -40 %",
        {"BTC": 0.5, "ETH": 0.3, "DOGE": 0.1, "USDC": 0.1},
        {"BTC": -0.4, "USDC": 0.0},
        betas={"ETH": 1.5, "DOGE": 3.0, "BTC": 1.0},
        market="BTC",
    )

    # ETH falls by 60 %; DOGE would fall by 120 % and falls by 100 %.
    assert found.loss == pytest.approx(0.5 * 0.4 + 0.3 * 0.6 + 0.1 * 1.0)
    assert found.missing == ()


def test_shock_names_what_it_says_nothing_about() -> None:
    found = stress.shock("BTC +10 %", {"BTC": 0.5, "ETH": 0.5}, {"BTC": 0.1})

    assert found.loss == pytest.approx(-0.05)
    assert found.worst == 0.0
    assert found.missing == ("ETH",)


@pytest.mark.parametrize("change", [-1.1, math.nan, math.inf])
def test_impossible_shocks_are_refused(change: float) -> None:
    with pytest.raises(RiskError, match="change of BTC"):
        stress.shock("x", {"BTC": 1.0}, {"BTC": change})
    with pytest.raises(RiskError, match="market ETH"):
        stress.shock("x", {"BTC": 1.0}, {"BTC": -0.1}, betas={"BTC": 1.0}, market="ETH")
