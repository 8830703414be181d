"""A request is read strictly, and a document of it reads back as the same request."""

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.backtesting.limits import LIMITS, MOST_BARS, TooLarge, require_bars, require_within
from alphapulse.backtesting.request import BacktestRequest, InvalidRequest
from alphapulse.domain.backtest.terms import Terms, WalkForward
from alphapulse.tenancy.principal import Tier

LEAST = {"symbol": "BTC-USD", "interval": "1d", "agent": "technical"}


def test_what_is_left_out_has_its_default() -> None:
    request = BacktestRequest.of(LEAST)

    assert (request.terms, request.plan) == (Terms(), WalkForward())
    assert (request.start, request.end, request.parameters) == (None, None, {})


def test_a_document_reads_back_as_the_same_request() -> None:
    asked = LEAST | {
        "parameters": {"rsi_period": 10},
        "from": "2024-01-01",
        "to": "2024-06-01T12:00:00+02:00",
        "starting_equity": "2500.50",
        "fee_bps": "7.5",
        "short": True,
        "folds": 3,
        "grid": {"rsi_period": [10, 14], "macd_full_atr": [0.5]},
    }

    request = BacktestRequest.of(asked)

    assert BacktestRequest.of(request.document()) == request
    assert request.start == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert request.end == dt.datetime(2024, 6, 1, 10, tzinfo=dt.UTC)
    assert request.terms.starting_equity == Decimal("2500.50")
    assert request.plan.candidates == [
        {"rsi_period": 10, "macd_full_atr": 0.5},
        {"rsi_period": 14, "macd_full_atr": 0.5},
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fees": 1}, "unknown fields: fees"),
        ({"agent": "astrology"}, "agent must be one of technical"),
        ({"symbol": "BTCUSD"}, "symbol must look like"),
        ({"interval": "2d"}, "interval must be one of"),
        ({"fee_bps": 0.1}, "fee_bps must be a plain decimal number written as text, was float"),
        ({"fee_bps": "1001"}, "fee_bps must be from 0 to 1000, was 1001"),
        ({"position_fraction": "1.5"}, "position_fraction must be from 0.0001 to 1, was 1.5"),
        ({"starting_equity": "0"}, "starting_equity must be from 1"),
        ({"short": "yes"}, "short must be true or false"),
        ({"from": "yesterday"}, "from must be a date"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "to must be a date"),
        ({"to": "1969-12-31"}, "to must be from 1970 to 2999"),
        ({"from": "2024-01-02", "to": "2024-01-02"}, "from must be before to"),
        ({"parameters": {"rsi": 1}}, "unknown parameters: rsi"),
        ({"parameters": []}, "parameters must be an object"),
        ({"folds": 1.5}, "folds must be a whole number"),
        ({"folds": 2, "grid": {"rsi": [1, 2]}}, "the grid names parameters the agent does not have: rsi"),
        ({"folds": 2, "grid": {"rsi_period": [10]}}, "at least two combinations"),
        ({"folds": 2, "grid": {"rsi_period": [10, 10]}}, "grid.rsi_period has a value twice"),
        ({"folds": 2, "grid": {"rsi_period": 10}}, "grid.rsi_period must be a list"),
        ({"folds": 2, "grid": {"rsi_period": [1, 10]}}, "rsi_period must be a whole number from 2"),
        ({"folds": 2, "grid": {"rsi_period": [*range(2, 67)]}}, "64 combinations, was 65"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_was_found(change: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        BacktestRequest.of(LEAST | change)


@pytest.mark.parametrize("name", sorted(LEAST))
def test_symbol_interval_and_agent_are_needed(name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name} is missing"):
        BacktestRequest.of({key: value for key, value in LEAST.items() if key != name})


def test_limits_count_bars_times_combinations() -> None:
    grid = BacktestRequest.of(LEAST | {"folds": 2, "grid": {"rsi_period": [9, 14]}})
    most = LIMITS[Tier.STARTER].evaluations // 2

    require_within(Tier.STARTER, grid, most)
    with pytest.raises(TooLarge, match="includes 50000 evaluations"):
        require_within(Tier.STARTER, grid, most + 1)
    require_bars(MOST_BARS)
    with pytest.raises(TooLarge, match="narrow from and to"):
        require_bars(MOST_BARS + 1)


def test_a_request_is_checked_without_numpy() -> None:
    program = (
        "import sys\n"
        "import alphapulse.backtesting.candles, alphapulse.backtesting.limits\n"
        "from alphapulse.backtesting.request import BacktestRequest\n"
        f"BacktestRequest.of({LEAST!r})\n"
        "print(sorted({'numpy', 'matplotlib', 'pydantic'} & set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
