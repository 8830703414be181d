"""Candles of the store: the bars asked for, those before them, and too few or too many of them."""

import asyncio
import datetime as dt
from typing import Any

import pytest

from alphapulse.backtesting import candles as reading
from alphapulse.backtesting import limits
from alphapulse.backtesting.candles import NoCandles, from_store, stored_bars
from alphapulse.backtesting.cli import main
from alphapulse.backtesting.limits import TooLarge
from alphapulse.backtesting.request import BacktestRequest
from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from tests.stored_candles import START, store, wave

DAY = dt.timedelta(days=1)
SYMBOL = "BTS-USD"


@pytest.fixture(autouse=True)
async def stored(platform_database: PlatformDatabase) -> None:
    bars = wave(100)
    await store(platform_database, SYMBOL, bars[:50] + bars[53:])


def asked(**more: Any) -> BacktestRequest:
    return BacktestRequest.of({"symbol": SYMBOL, "interval": "1d", "agent": "technical", **more})


@pytest.mark.parametrize(
    ("span", "opens", "first"),
    [
        ({}, [n for n in range(100) if n not in (50, 51, 52)], 0),
        ({"from": START + 60 * DAY}, [*range(48, 50), *range(53, 100)], 9),
        ({"from": START + 60 * DAY, "to": START + 63 * DAY}, [*range(48, 50), *range(53, 63)], 9),
        ({"from": START + 2 * DAY, "to": START + 4 * DAY}, [0, 1, 2, 3], 2),
        ({"to": START + 3 * DAY + DAY / 2}, [0, 1, 2], 0),
    ],
)
async def test_bars_asked_for_and_those_to_look_back_on(
    app_database: Database, span: dict[str, Any], opens: list[int], first: int
) -> None:
    request = asked(**span)
    async with app_database.tenant(TenantId.new()) as session:
        history = await from_store(session, request, back=9)
        count = await stored_bars(session, request)

    assert [(candle.open_time - START).days for candle in history.candles] == opens
    assert (history.first, history.source) == (first, "directory")
    assert count == len(opens) - first


async def test_none_and_too_many_are_refused(app_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with app_database.tenant(TenantId.new()) as session:
        with pytest.raises(NoCandles, match="in the time asked for"):
            await from_store(session, asked(**{"from": START + 500 * DAY}), back=9)
        monkeypatch.setattr(limits, "MOST_BARS", 20)
        monkeypatch.setattr(reading, "MOST_BARS", 20)
        with pytest.raises(TooLarge):
            await from_store(session, asked(), back=9)
        assert await stored_bars(session, asked()) == 21


async def test_the_command_line_reads_the_store(
    database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MARKET_DATA_DIR", raising=False)
    monkeypatch.setenv("DATABASE_URL", database.app)

    status = await asyncio.to_thread(main, ["--symbol", SYMBOL, "--interval", "1d"])

    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert "candles: the store (DATABASE_URL)" in printed.err
    assert "bars 97, missing 3 in 1 gaps" in printed.out
