"""From a request for signals to profit and loss, through gateway, broker, functions and database."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import talib

from tests.e2e.conftest import User, eventually
from tests.market_files import candle_file, read_candles

pytestmark = pytest.mark.e2e


def test_the_signal_of_the_last_bar_equals_one_computed_from_the_file_with_ta_lib(
    user: User, market_files: Path
) -> None:
    user.follow_technical_alone("1d")

    run_id = user.run_agents("BTC-USD")
    run = user.finished_run(run_id)
    (signal,) = user.signals_of(run_id, "BTC-USD")

    assert (
        run["status"],
        [(task["agent"], task["symbol"], task["status"]) for task in run["agents"]],
    ) == ("done", [("technical", "BTC-USD", "done")])
    found = {item["name"]: item["value"] for item in signal["inputs"]}
    rows = read_candles(candle_file(market_files, "BTC-USD_1d"))[-int(found["bars"]) :]
    expected = with_ta_lib(rows)
    assert expected == {name: pytest.approx(found[name], abs=1e-8) for name in expected}
    assert score_of(expected, found["regime"]) == pytest.approx(signal["score"], abs=1e-6)
    assert direction(signal["score"]) == signal["signal"]
    assert len(signal["reasons"]) >= 4
    assert {item["source"] for item in signal["inputs"]} == {"directory"}


def with_ta_lib(rows: list[dict[str, str]]) -> dict[str, float]:
    """The agent's readings, computed by TA-Lib from the file's own rows."""
    columns = ("high", "low", "close", "volume")
    high, low, close, volume = (np.array([float(row[name]) for row in rows]) for name in columns)
    upper, middle, _ = talib.BBANDS(close, timeperiod=20, nbdevup=2, nbdevdn=2)
    balance = talib.OBV(close, volume)
    return {
        "close": close[-1],
        "rsi": talib.RSI(close, 14)[-1],
        "macd_histogram": talib.MACD(close, 12, 26, 9)[2][-1],
        "bollinger_position": (close[-1] - middle[-1]) / (upper[-1] - middle[-1]),
        "atr": talib.ATR(high, low, close, 14)[-1],
        "ema_fast": talib.EMA(close, 20)[-1],
        "ema_slow": talib.EMA(close, 50)[-1],
        "volume_share": (balance[-1] - balance[-21]) / volume[-20:].sum(),
        # The regime is that of the newest 120 bars.
        "adx": talib.ADX(high[-120:], low[-120:], close[-120:], 14)[-1],
    }


def score_of(readings: dict[str, float], regime: str) -> float:
    """The score, written anew from the agent's documentation: five parts, each within [-1, 1]."""
    rsi, atr = readings["rsi"], readings["atr"]
    # Half of the weight of what expects a return is lost in a trend, of what follows the move in a range.
    reverting = 0.5 if regime.startswith("trending") else 1.0
    following = 0.5 if regime == "ranging" else 1.0
    parts = (
        (0.20 * reverting, (50 - rsi) / 20),  # 30 is oversold, 70 is overbought
        (0.20 * following, readings["macd_histogram"] / atr / 0.5),
        (0.15 * reverting, -readings["bollinger_position"]),
        (0.30 * following, (readings["ema_fast"] - readings["ema_slow"]) / atr / 2),
        (0.15 * following, readings["volume_share"] / 0.5),
    )
    whole = sum(weight for weight, _ in parts)
    return sum(weight * min(1.0, max(-1.0, part)) for weight, part in parts) / whole


def direction(score: float) -> str:
    return "buy" if score > 0.2 else "sell" if score < -0.2 else "hold"


def test_the_consensus_follows_the_weights(user: User) -> None:
    user.follow_technical_alone("1d")
    run_id = user.run_agents("BTC-USD")
    user.finished_run(run_id)

    (signal,) = user.signals_of(run_id, "BTC-USD")
    (consensus,) = user.consensus_of(run_id, "BTC-USD")

    assert consensus["quorum"] is True
    assert float(consensus["score"]) == pytest.approx(signal["score"], abs=1e-6)
    assert direction(signal["score"]) == consensus["signal"]
    assert [part["agent"] for part in consensus["contributions"]] == ["technical"]
    assert user.post(f"/agents/runs/{run_id}/replay", {}, expect=200)["identical"] is True


def test_the_technical_agent_alone_has_no_quorum_with_the_default_weights(user: User) -> None:
    user.post(
        "/agents/config", {"agents": [{"agent": "technical", "parameters": {"interval": "1d"}}]}, expect=200
    )
    run_id = user.run_agents("BTC-USD")
    user.finished_run(run_id)

    (consensus,) = user.consensus_of(run_id, "BTC-USD")

    assert (consensus["quorum"], consensus["signal"]) == (False, "hold")


def test_all_agents_of_the_tier_answer_and_the_run_can_be_made_again(user: User) -> None:
    run_id = user.run_agents("BTC-USD", agents=("technical", "fundamental", "sentiment"))
    run = user.finished_run(run_id)

    again = user.post(f"/agents/runs/{run_id}/replay", {}, expect=200)

    assert run["status"] == "done"
    assert {task["status"] for task in run["agents"]} <= {"done", "abstained"}
    assert all(task["started_at"] <= task["finished_at"] for task in run["agents"])
    assert [one["outcome"] for one in again["signals"] + again["consensus"]] == ["identical"] * 4
    for signal in user.signals_of(run_id, "BTC-USD"):
        assert signal["reasons"]
        assert all(item["source"] for item in signal["inputs"])


def test_missing_bars_are_reported_as_gaps_and_not_filled_in(user: User, market_files: Path) -> None:
    rows = read_candles(candle_file(market_files, "ETH-BTC_5m"))[-500:]
    times = [np.datetime64(row["timestamp"].rstrip("Z")) for row in rows]
    missing = [
        int((later - earlier) / np.timedelta64(5, "m")) - 1
        for earlier, later in itertools.pairwise(times)
        if later - earlier > np.timedelta64(5, "m")
    ]

    candles = eventually(
        lambda: user.get("/market/ETH-BTC/candles?interval=5m&limit=500"),
        lambda found: len(found["items"]) == len(rows),
    )

    assert [Decimal(row["close"]) for row in rows] == [Decimal(item["close"]) for item in candles["items"]]
    assert missing == [gap["missing"] for gap in candles["gaps"]]


def test_a_trade_changes_position_cash_and_history(user: User) -> None:
    ticker = user.get("/market/BTC-USD/ticker")
    trade = user.post("/trades", {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.5"})

    portfolio = user.get("/portfolio")
    position = user.get("/positions/BTC-USD")
    history = eventually(
        lambda: user.get("/portfolio/history?interval=1m")["items"], lambda items: len(items) > 0
    )

    assert (trade["status"], Decimal("0.5")) == ("filled", Decimal(trade["filled_quantity"]))
    spent = Decimal("0.5") * Decimal(trade["average_price"]) + Decimal(trade["fee"]["amount"])
    assert Decimal(portfolio["cash"]["USD"]) == Decimal(100_000) - spent
    assert Decimal(position["quantity"]) == Decimal("0.5")
    assert Decimal(trade["average_price"]) >= Decimal(ticker["price"])
    assert Decimal(portfolio["equity"]) < Decimal(100_000)
    assert Decimal(history[-1]["equity"]) <= Decimal(100_000)


def test_the_same_key_from_twenty_clients_at_once_is_one_order(user: User) -> None:
    body = {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "0.01"}

    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(
                lambda _: user.http.post("/trades", json=body, headers={"Idempotency-Key": "once"}), range(20)
            )
        )

    assert {201} == {answer.status_code for answer in answers}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(user.get("/trades")["items"]) == 1
    assert Decimal(user.get("/positions/BTC-USD")["quantity"]) == Decimal("0.01")


def test_a_resting_order_is_cancelled(user: User) -> None:
    body = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.1", "price": "100"}
    trade = user.post("/trades", body)

    answer = user.http.delete(f"/trades/{trade['id']}")

    assert (trade["status"], answer.status_code) == ("open", 200)
    assert user.get(f"/trades/{trade['id']}")["status"] == "cancelled"
    assert user.get("/positions")["items"] == []
