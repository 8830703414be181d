"""The command line: what it prints and writes, and how it fails."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alphapulse.backtesting.cli import main
from alphapulse.domain.agents.evidence import Bars, Evidence
from alphapulse.domain.agents.technical import DEFINITION
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import price_series
from alphapulse.providers.candles.directory import DirectoryCandles
from tests.market_files import write_random_walk
from tests.real_candles import real_candles

DAILY = ["--symbol", "BTC-USD", "--interval", "1d"]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MARKET_DATA_DIR", "PROVIDER_DATA_DIR", "DATABASE_URL", "PROVIDER_SOURCE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "market").mkdir()
    return write_random_walk(tmp_path / "market")


def test_a_backtest_of_files_prints_figures_and_writes_both_files(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, drawn = tmp_path / "result.json", tmp_path / "picture.png"
    chosen = ["--data-dir", str(files), "--folds", "2", "--grid", '{"rsi_period": [10, 14]}']

    status = main([*DAILY, *chosen, "--json", str(result), "--png", str(drawn)])

    assert status == 0
    printed = capsys.readouterr()
    assert "final equity" in printed.out
    assert "fold 2:" in printed.out
    assert "100 %  1000 of 1000 bars" in printed.err
    document = json.loads(result.read_text())
    assert (document["bars"], document["learnt_bars"], document["source"]) == (334, 166, "directory")
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_without_files_and_store_the_simulation_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    status = main([*DAILY, "--from", "2024-01-01", "--to", "2024-03-01"])

    printed = capsys.readouterr()
    assert status == 0
    assert "the simulation; no real prices" in printed.err
    assert "source simulated" in printed.out
    assert "bars 60, missing 0 in 0 gaps" in printed.out


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--data-dir", "/nowhere/at/all"], 2, "does not exist"),
        (["--source", "directory"], 2, "give --data-dir or MARKET_DATA_DIR"),
        (["--parameters", '{"rsi_period": 1}'], 2, "rsi_period must be a whole number"),
        (["--from", "2024-02-01", "--to", "2024-01-01"], 2, "from must be before to"),
        (["--source", "stored"], 1, "DATABASE_URL is not set"),
        (["--symbol", "NOT-HERE"], 1, "there are no candles of NOT-HERE"),
        (["--from", "2020-01-01", "--to", "2020-01-02"], 1, "needs 2 bars, found 1"),
        (["--interval", "1m", "--from", "2024-01-01", "--to", "2024-06-01"], 1, "narrow from and to"),
    ],
)
def test_it_fails_with_a_reason_and_a_status(
    arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DAILY, *arguments]) == status

    error = capsys.readouterr().err
    assert "backtest: " in error
    assert text in error


@pytest.mark.parametrize("arguments", [["--parameters", "{"], ["--grid", "[1]"], ["--agent", "astrology"]])
def test_malformed_arguments_end_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*DAILY, *arguments])

    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


async def bars_of(directory: Path) -> tuple[Candle, ...]:
    return (await DirectoryCandles(directory).candles("BTC-USD", Interval.DAY, limit=5000)).candles


async def test_real_prices_give_what_an_independent_recomputation_gives(tmp_path: Path) -> None:
    candles = await bars_of(real_candles())
    document = await run_on_real(tmp_path)
    opens, closes = (np.array([float(getattr(c, name)) for c in candles]) for name in ("open", "close"))

    # Ask the agent itself about each prefix, then compound by hand: whole equity, long or flat.
    parameters = DEFINITION.parameters()
    series = price_series(candles)
    equity, held = 10_000.0, False
    curve, wanted = [], None
    cost = (1 + 0.0005) * (1 + 0.001), (1 - 0.0005) * (1 - 0.001)
    for n, candle in enumerate(candles):
        if wanted is not None and wanted != held:
            equity *= closes[n] / opens[n] / cost[0] if wanted else opens[n] / closes[n - 1] * cost[1]
            held = wanted
        elif held:
            equity *= closes[n] / closes[n - 1]
        curve.append(equity)
        now = candle.open_time + (candles[1].open_time - candles[0].open_time)
        bars = Bars(series.between(0, n + 1), Interval.DAY, "directory")
        spoken = DEFINITION.speak(Evidence("BTC-USD", Interval.DAY, now, bars=bars), parameters)
        wanted = {"buy": True, "sell": False}.get(str(getattr(spoken, "signal", None)))

    returns = np.diff(curve) / np.array(curve[:-1])
    figures = document["figures"]
    assert float(figures["final_equity"]) == pytest.approx(curve[-1], rel=1e-8)
    assert figures["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * 365**0.5, rel=1e-6)
    worst = min(now / max(curve[: n + 1]) - 1 for n, now in enumerate(curve))
    assert figures["max_drawdown"] == pytest.approx(worst, rel=1e-8)
    assert (document["bars"], document["gaps"]["missing_bars"]) == (1318, 34)


async def run_on_real(tmp_path: Path) -> dict[str, Any]:
    result = tmp_path / "real.json"
    arguments = [*DAILY, "--data-dir", str(real_candles()), "--json", str(result)]
    assert await asyncio.to_thread(main, arguments) == 0
    document: dict[str, Any] = json.loads(result.read_text())
    return document
