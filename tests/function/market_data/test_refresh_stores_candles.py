"""Candles come from files or the simulation into PostgreSQL, once and completely."""

import datetime as dt
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.domain.instruments import Interval
from alphapulse.events import Event
from alphapulse.market.writing import StoredBar
from alphapulse.providers.candles.simulated import SimulatedCandles
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse_local.embedded.redis import EmbeddedRedis
from functions.market_data.continuation import continuation
from tests.function.conftest import Broker, Clock, Functions
from tests.real_candles import real_candles

HEADER = "timestamp,open,high,low,close,volume\n"
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def bars(count: int, *, start: dt.datetime = START, price: int = 100) -> str:
    """Hourly rows, each a unit dearer than the one before."""
    rows = (
        f"{(start + dt.timedelta(hours=n)).isoformat().replace('+00:00', 'Z')},"
        f"{price + n},{price + n + 2},{price + n - 1},{price + n + 1},10.5"
        for n in range(count)
    )
    return "\n".join(rows) + "\n"


@pytest.fixture
def candle_dir(tmp_path: Path) -> Path:
    (tmp_path / "AAA-USD_1h.csv").write_text(HEADER + bars(30))
    (tmp_path / "BBB-USD_1h.csv").write_text(HEADER + bars(10))
    return tmp_path


@pytest.fixture
def function_settings(
    empty_database: DatabaseUrls, redis_server: EmbeddedRedis, broker: Broker, candle_dir: Path
) -> Settings:
    """Market data is everybody's, so each of these tests has a database of its own."""
    return Settings(
        database_url=Secret(empty_database.app),
        platform_database_url=Secret(empty_database.platform),
        redis_url=Secret(redis_server.url),
        broker_url=broker.url,
        market_data_dir=candle_dir,
    )


@pytest.fixture
async def platform(empty_database: DatabaseUrls) -> AsyncIterator[PlatformDatabase]:
    opened = PlatformDatabase(empty_database.platform, application_name="test")
    yield opened
    await opened.close()


async def refresh(functions: Functions, **data: Any) -> None:
    """Run the schedule, or the explicit request if there are data."""
    event = functions.tick("market-refresh")
    if data:
        event = functions.event("market.refresh.requested", {"requested_at": START.isoformat(), **data})
    answer = await functions.deliver("market_data", event)

    assert answer.status_code == 204, answer.text


async def stored(platform: PlatformDatabase, symbol: str, interval: str = "1h") -> list[Any]:
    query = """SELECT open_time, close, source FROM candles
        WHERE exchange = 'paper' AND symbol = $1 AND interval = $2 ORDER BY open_time"""
    async with platform.session() as session:
        return await session.fetch(query, symbol, interval)


async def test_first_refresh_stores_every_bar_of_every_file(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    await refresh(functions)

    rows = await stored(platform, "AAA-USD")
    assert [row["open_time"] for row in rows] == [START + dt.timedelta(hours=n) for n in range(30)]
    assert rows[-1]["close"] == Decimal(130)
    assert {row["source"] for row in rows} == {"directory"}
    assert len(await stored(platform, "AAA-USD", "4h")) == 7  # of 30 hours, two are no whole bar
    updated = {(e.extensions["symbol"], e.data["interval"]): e.data for e in broker.events}
    assert updated["AAA-USD", "1h"] == {
        "exchange": "paper",
        "symbol": "AAA-USD",
        "interval": "1h",
        "from": "2024-01-01T00:00:00+00:00",
        "to": "2024-01-02T05:00:00+00:00",
        "count": 30,
        "source": "directory",
    }
    assert all(event.tenant_id is None for event in broker.events)


async def test_second_refresh_changes_and_tells_nothing(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    await refresh(functions)
    before = await stored(platform, "AAA-USD")
    broker.events.clear()

    await refresh(functions)
    await refresh(functions, symbols=["AAA-USD"])

    assert await stored(platform, "AAA-USD") == before
    assert broker.events == []


async def test_appended_bars_are_added_and_told(
    functions: Functions, platform: PlatformDatabase, broker: Broker, candle_dir: Path
) -> None:
    await refresh(functions)
    broker.events.clear()
    (candle_dir / "AAA-USD_1h.csv").write_text(HEADER + bars(32))

    await refresh(functions)

    assert len(await stored(platform, "AAA-USD")) == 32
    [told] = [event for event in broker.events if event.data["interval"] == "1h"]
    assert (told.data["from"], told.data["count"]) == ("2024-01-02T06:00:00+00:00", 2)


async def test_requested_refresh_repairs_older_bars(
    functions: Functions, platform: PlatformDatabase, candle_dir: Path
) -> None:
    await refresh(functions)
    corrected = (HEADER + bars(30)).replace(",100,102,99,101,", ",100,102,99,101.5,")
    (candle_dir / "AAA-USD_1h.csv").write_text(corrected)

    await refresh(functions, symbols=["AAA-USD"])

    assert (await stored(platform, "AAA-USD"))[0]["close"] == Decimal("101.5")


async def test_older_history_replaces_the_series_instead_of_mixing_with_it(
    functions: Functions, platform: PlatformDatabase, candle_dir: Path
) -> None:
    await refresh(functions)
    earlier = START - dt.timedelta(days=400)
    (candle_dir / "AAA-USD_1h.csv").write_text(HEADER + bars(5, start=earlier))

    await refresh(functions)

    assert [row["open_time"] for row in await stored(platform, "AAA-USD")] == [
        earlier + dt.timedelta(hours=n) for n in range(5)
    ]


async def test_broken_file_does_not_stop_the_others_and_halts_its_instrument(
    functions: Functions, platform: PlatformDatabase, candle_dir: Path
) -> None:
    await refresh(functions)
    (candle_dir / "AAA-USD_1h.csv").write_text(HEADER + "yesterday,1,2,3,4,5\n")
    (candle_dir / "BBB-USD_1h.csv").write_text(HEADER + bars(12))

    await refresh(functions)

    assert len(await stored(platform, "BBB-USD")) == 12
    assert len(await stored(platform, "AAA-USD")) == 30
    async with platform.session() as session:
        found = await session.fetch("SELECT symbol, status FROM instruments ORDER BY symbol")
    assert [tuple(row) for row in found] == [("AAA-USD", "halted"), ("BBB-USD", "trading")]


async def test_figures_too_large_to_store_do_not_stop_the_other_series(
    functions: Functions, platform: PlatformDatabase, candle_dir: Path
) -> None:
    # Each hour fits; the volume of a day does not.
    row = "1,1,1,1," + "9" * 20
    hours = [f"{START + dt.timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},{row}\n" for n in range(24)]
    (candle_dir / "AAA-USD_1h.csv").write_text(HEADER + "".join(hours))
    (candle_dir / "BBB-USD_1h.csv").write_text(HEADER + bars(12))

    await refresh(functions)

    assert len(await stored(platform, "AAA-USD")) == 24
    assert await stored(platform, "AAA-USD", "1d") == []
    assert len(await stored(platform, "BBB-USD")) == 12


async def test_a_directory_that_is_not_there_is_a_dependency_that_is_down(
    functions: Functions, candle_dir: Path
) -> None:
    candle_dir.rename(candle_dir.with_name("elsewhere"))

    answer = await functions.deliver("market_data", functions.tick("market-refresh"))

    assert (answer.status_code, answer.json()["code"]) == (503, "dependency_down")
    assert str(candle_dir) not in answer.text


async def test_events_stay_in_the_outbox_when_the_broker_is_down(
    functions: Functions, platform: PlatformDatabase, broker: Broker
) -> None:
    broker.up = False

    await refresh(functions)

    assert len(await stored(platform, "AAA-USD")) == 30
    async with platform.session() as session:
        waiting = [
            Event.from_record(row["event"])
            for row in await session.fetch("SELECT event FROM platform_outbox")
        ]
    assert ("AAA-USD", "1h") in {(event.data["symbol"], event.data["interval"]) for event in waiting}


async def test_cached_series_and_ticker_are_dropped_when_bars_change(
    functions: Functions, candle_dir: Path
) -> None:
    cache = functions.resources("market_data").cache.market()
    for parts in (("1h", "candles"), ("ticker",)):
        await cache.put("paper", "AAA-USD", *parts, value="old", ttl_seconds=60)

    await refresh(functions)

    assert await cache.get("paper", "AAA-USD", "1h", "candles") is None
    assert await cache.get("paper", "AAA-USD", "ticker") is None


class TestSimulation:
    """Without a directory the bars are simulated, and say so."""

    @pytest.fixture
    def function_settings(self, function_settings: Settings) -> Settings:
        return function_settings.replace(market_data_dir=None)

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock(dt.datetime(2026, 3, 4, 12, 0, 30, tzinfo=dt.UTC))

    async def test_first_refresh_stores_five_hundred_closed_bars(
        self, functions: Functions, platform: PlatformDatabase
    ) -> None:
        await refresh(functions, symbols=["BTC-USDT"])

        rows = await stored(platform, "BTC-USDT", "1m")
        assert len(rows) == 500
        assert rows[-1]["open_time"] == dt.datetime(2026, 3, 4, 11, 59, tzinfo=dt.UTC)
        assert {row["source"] for row in rows} == {"simulated"}

    async def test_later_refresh_asks_only_for_the_bars_closed_since(self, clock: Clock) -> None:
        source = SimulatedCandles(1, clock=clock)
        last = (await source.candles("BTC-USDT", Interval.MINUTE, limit=1)).candles[-1]
        stored_bar = StoredBar(last.open_time, last.close, "simulated")
        clock.advance(minutes=3)

        wanted = await continuation(
            source, "BTC-USDT", Interval.MINUTE, stored=stored_bar, every_bar=False, now=clock()
        )

        assert [bar.open_time.minute for bar in wanted.candles] == [59, 0, 1, 2]
        assert not wanted.replaces

    async def test_another_seed_replaces_the_series(
        self,
        functions: Functions,
        platform: PlatformDatabase,
        function_settings: Settings,
        signer: Any,
        clock: Clock,
    ) -> None:
        await refresh(functions, symbols=["BTC-USDT"])
        before = await stored(platform, "BTC-USDT", "1m")
        reseeded = Functions(function_settings.replace(simulation_seed=7), signer, clock)

        await refresh(reseeded, symbols=["BTC-USDT"])
        await reseeded.close()

        after = await stored(platform, "BTC-USDT", "1m")
        assert len(after) == 500
        assert {row["close"] for row in after}.isdisjoint({row["close"] for row in before[:400]})


class TestRealCandles:
    """The real files are stored in seconds."""

    @pytest.fixture
    def candle_dir(self) -> Path:
        return real_candles()

    async def test_first_load_takes_seconds_and_keeps_every_row(
        self, functions: Functions, platform: PlatformDatabase
    ) -> None:
        started = time.perf_counter()
        await refresh(functions)
        elapsed = time.perf_counter() - started

        assert len(await stored(platform, "BTC-USD", "1d")) == 1318
        assert len(await stored(platform, "BTC-PERP", "1m")) == 20160
        assert elapsed < 30
