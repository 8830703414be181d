"""A backtest through gateway, broker, function and database gives what the command line gives."""

import json
from pathlib import Path

import pytest

from alphapulse.backtesting.cli import main
from tests.e2e.conftest import User, eventually

pytestmark = pytest.mark.e2e

ASKED = {"symbol": "BTC-USD", "interval": "1d", "agent": "technical", "fee_bps": "20", "folds": 3}


def test_the_platform_gives_the_same_result_as_the_command_line(
    user: User, market_files: Path, tmp_path: Path
) -> None:
    accepted = user.post("/agents/backtests", ASKED, expect=202)
    run = eventually(
        lambda: user.get(accepted["status_url"]), lambda found: found["status"] not in ("waiting", "running")
    )
    picture = user.http.get(run["picture_url"])

    own = tmp_path / "result.json"
    arguments = ["--symbol", "BTC-USD", "--fee-bps", "20", "--folds", "3", "--json", str(own)]
    assert main([*arguments, "--data-dir", str(market_files)]) == 0
    assert run["status"] == "done", run["reason"]
    told = run["result"]
    assert told.pop("bars_per_second") > 0
    assert told == json.loads(own.read_text())
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert [item["run_id"] for item in user.get("/agents/backtests")["items"]] == [accepted["run_id"]]
