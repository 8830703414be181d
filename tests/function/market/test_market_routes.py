"""Prices over HTTP: shapes, sources, gaps, the shared cache, and what is refused."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from alphapulse.domain.instruments import Interval
from alphapulse.domain.money import decimal_text
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.cache import SharedCache
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.function.conftest import Clock, Functions
from tests.stored_candles import START, list_instrument, store, wave

READS = ("/market/instruments", "/market/MKA-USD/ticker", "/market/MKA-USD/candles")


@pytest.fixture
def api(functions: Functions, tenant: TenantId) -> httpx.AsyncClient:
    return functions.caller("market", tenant)


@pytest.fixture
async def cache(functions: Functions) -> SharedCache:
    """The market cache, without what other tests left of these symbols."""
    found = functions.resources("market").cache.market()
    for symbol in ("MKA-USD", "BTC-USDT"):
        await found.drop("paper", symbol, "ticker")
        for interval in Interval:
            await found.drop("paper", symbol, interval.value, "candles")
    return found


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


class TestAccess:
    @pytest.mark.parametrize("path", READS)
    async def test_prices_need_a_token(self, functions: Functions, path: str) -> None:
        assert problem(await functions.caller("market").get(path)) == (401, "not_authenticated")

    async def test_viewer_may_read(self, functions: Functions, tenant: TenantId) -> None:
        viewer = functions.caller("market", tenant, role="viewer")

        assert (await viewer.get("/market/instruments")).status_code == 200

    @pytest.mark.parametrize("symbol", ["btc-usd", "BTCUSD", "B-USD", "BTC-USD-X", "BTC%00-USD", "BTC_USD"])
    @pytest.mark.parametrize("what", ["ticker", "candles"])
    async def test_malformed_symbol_is_refused(self, api: httpx.AsyncClient, symbol: str, what: str) -> None:
        assert (await api.get(f"/market/{symbol}/{what}")).status_code == 422

    @pytest.mark.parametrize("what", ["ticker", "candles"])
    async def test_unknown_symbol_is_not_found(self, api: httpx.AsyncClient, what: str) -> None:
        assert problem(await api.get(f"/market/NIL-USD/{what}")) == (404, "unknown_symbol")

    @pytest.mark.parametrize("params", [{"interval": "2d"}, {"limit": 0}, {"limit": 501}, {"limit": "many"}])
    async def test_malformed_query_is_refused(self, api: httpx.AsyncClient, params: dict[str, Any]) -> None:
        answer = await api.get("/market/MKA-USD/candles", params=params)

        assert problem(answer) == (422, "validation_failed")


class TestCandles:
    @pytest.fixture(autouse=True)
    async def stored(self, platform_database: PlatformDatabase, cache: SharedCache) -> None:
        bars = [bar for n, bar in enumerate(wave(120)) if n not in {50, 100, 101}]
        await store(platform_database, "MKA-USD", bars)

    async def test_newest_bars_come_last_with_the_gaps_between_them(self, api: httpx.AsyncClient) -> None:
        answer = (await api.get("/market/MKA-USD/candles")).json()

        assert {name: answer[name] for name in ("symbol", "interval", "exchange", "source")} == {
            "symbol": "MKA-USD",
            "interval": "1d",
            "exchange": "paper",
            "source": "directory",
        }
        assert len(answer["items"]) == 100
        last = wave(120)[-1]
        assert answer["items"][-1] == {
            "open_time": "2024-04-29T00:00:00Z",
            "open": decimal_text(last.open),
            "high": decimal_text(last.high),
            "low": decimal_text(last.low),
            "close": decimal_text(last.close),
            "volume": "10",
        }
        assert answer["gaps"] == [
            {"from": "2024-02-20T00:00:00Z", "to": "2024-02-20T00:00:00Z", "missing": 1},
            {"from": "2024-04-10T00:00:00Z", "to": "2024-04-11T00:00:00Z", "missing": 2},
        ]

    async def test_answer_from_the_cache_equals_the_one_from_the_database(
        self, api: httpx.AsyncClient, cache: SharedCache
    ) -> None:
        first = await api.get("/market/MKA-USD/candles", params={"limit": 30})
        assert await cache.get("paper", "MKA-USD", "1d", "candles") is not None

        for limit in (30, 500):
            cached = await api.get("/market/MKA-USD/candles", params={"limit": limit})
            await cache.drop("paper", "MKA-USD", "1d", "candles")
            read = await api.get("/market/MKA-USD/candles", params={"limit": limit})

            assert cached.json() == read.json()
        assert len(first.json()["items"]) == 30
        assert len(read.json()["items"]) == 117

    async def test_cached_bars_are_answered_without_the_database(
        self, api: httpx.AsyncClient, cache: SharedCache
    ) -> None:
        document = {"source": "simulated", "whole": True, "bars": [[0, "1", "3", "0.5", "2", "4"]]}
        await cache.put("paper", "MKA-USD", "1d", "candles", value=document, ttl_seconds=5)

        answer = (await api.get("/market/MKA-USD/candles")).json()

        assert answer["source"] == "simulated"
        assert answer["items"] == [
            {
                "open_time": "1970-01-01T00:00:00Z",
                "open": "1",
                "high": "3",
                "low": "0.5",
                "close": "2",
                "volume": "4",
            }
        ]

    @pytest.mark.parametrize(
        "entry",
        [
            "text",
            {},
            {"source": "x", "whole": True, "bars": []},
            {"bars": [[0, "x"]], "whole": True},
            {"source": "x", "whole": True, "bars": [[0, "NaN", "3", "0.5", "2", "4"]]},
            {"source": "x", "whole": True, "bars": [[0, "1", "3", "0.5", "2", "-4"]]},
        ],
    )
    async def test_unreadable_cache_entry_counts_as_missing(
        self, api: httpx.AsyncClient, cache: SharedCache, entry: Any
    ) -> None:
        await cache.put("paper", "MKA-USD", "1d", "candles", value=entry, ttl_seconds=5)

        assert (await api.get("/market/MKA-USD/candles")).json()["source"] == "directory"

    async def test_interval_without_bars_is_empty(self, api: httpx.AsyncClient) -> None:
        answer = (await api.get("/market/MKA-USD/candles", params={"interval": "1m"})).json()

        assert (answer["items"], answer["gaps"], answer["source"]) == ([], [], None)

    async def test_redis_being_down_changes_no_answer(
        self,
        functions: Functions,
        api: httpx.AsyncClient,
        tenant: TenantId,
        function_settings: Settings,
        tmp_path: Path,
    ) -> None:
        expected = (await api.get("/market/MKA-USD/candles")).json()
        server = EmbeddedRedis(tmp_path, password="gone")
        server.start()
        url = server.url
        server.stop()
        without = Functions(
            function_settings.replace(redis_url=Secret(url)),
            functions.signer,
            functions.clock,
        )

        answer = await without.caller("market", tenant).get("/market/MKA-USD/candles")
        await without.close()

        assert answer.json() == expected


class TestTickers:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock(dt.datetime(2026, 3, 4, 12, 0, 30, tzinfo=dt.UTC))

    @pytest.fixture(autouse=True)
    async def empty_cache(self, cache: SharedCache) -> None:
        """Let each test ask the source first."""

    async def test_simulated_price_is_fresh_and_between_bid_and_ask(self, api: httpx.AsyncClient) -> None:
        ticker = (await api.get("/market/BTC-USDT/ticker")).json()

        assert {
            name: ticker[name] for name in ("symbol", "exchange", "as_of", "bar_open_time", "source", "stale")
        } == {
            "symbol": "BTC-USDT",
            "exchange": "paper",
            "as_of": "2026-03-04T12:00:30Z",
            "bar_open_time": "2026-03-04T12:00:00Z",
            "source": "simulated",
            "stale": False,
        }
        assert Decimal(ticker["bid"]) < Decimal(ticker["price"]) < Decimal(ticker["ask"])

    async def test_price_is_cached_for_a_few_seconds(
        self, api: httpx.AsyncClient, clock: Clock, cache: SharedCache
    ) -> None:
        first = (await api.get("/market/BTC-USDT/ticker")).json()
        clock.advance(seconds=4)

        assert (await api.get("/market/BTC-USDT/ticker")).json() == first
        await cache.drop("paper", "BTC-USDT", "ticker")
        assert (await api.get("/market/BTC-USDT/ticker")).json()["as_of"] == "2026-03-04T12:00:34Z"

    async def test_price_older_than_thirty_seconds_is_stale(
        self, api: httpx.AsyncClient, clock: Clock
    ) -> None:
        await api.get("/market/BTC-USDT/ticker")
        clock.advance(seconds=31)

        assert (await api.get("/market/BTC-USDT/ticker")).json()["stale"] is True

    @pytest.mark.parametrize(
        "entry",
        [
            "text",
            {"symbol": "BTC-USDT"},
            {"symbol": "ETH-USDT", "price": "1"},
            {
                **dict.fromkeys(("price", "bid", "ask"), "1"),
                **dict.fromkeys(("as_of", "bar_open_time"), "2026-03-04T12:00:00"),
                "symbol": "BTC-USDT",
                "source": "simulated",
            },
        ],
    )
    async def test_unreadable_cache_entry_counts_as_missing(
        self, api: httpx.AsyncClient, cache: SharedCache, entry: Any
    ) -> None:
        await cache.put("paper", "BTC-USDT", "ticker", value=entry, ttl_seconds=5)

        assert (await api.get("/market/BTC-USDT/ticker")).json()["source"] == "simulated"

    async def test_replay_gives_the_last_close_as_the_price_of_now(
        self, functions: Functions, function_settings: Settings, tenant: TenantId, tmp_path: Path
    ) -> None:
        rows = "timestamp,open,high,low,close,volume\n2018-08-13T00:00:00Z,6316,6544.99,6139.57,6253.67,10\n"
        (tmp_path / "MKA-USD_1d.csv").write_text(rows)
        settings = function_settings.replace(market_data_dir=tmp_path)
        replay = Functions(settings, functions.signer, functions.clock)

        ticker = (await replay.caller("market", tenant).get("/market/MKA-USD/ticker")).json()
        await replay.close()

        assert (ticker["price"], ticker["source"], ticker["stale"]) == ("6253.67", "directory", False)
        assert ticker["bar_open_time"] == "2018-08-13T00:00:00Z"
        assert ticker["as_of"] == "2026-03-04T12:00:30Z"

    async def test_unreadable_file_is_a_dependency_that_is_down(
        self, functions: Functions, function_settings: Settings, tenant: TenantId, tmp_path: Path
    ) -> None:
        (tmp_path / "MKA-USD_1d.csv").write_text("nonsense\n")
        settings = function_settings.replace(market_data_dir=tmp_path)
        broken = Functions(settings, functions.signer, functions.clock)

        answer = await broken.caller("market", tenant).get("/market/MKA-USD/ticker")
        await broken.close()

        assert problem(answer) == (503, "dependency_down")
        assert "Retry-After" in answer.headers
        assert str(tmp_path) not in answer.text


class TestInstruments:
    async def test_instruments_are_paged_in_alphabetical_order(
        self, api: httpx.AsyncClient, platform_database: PlatformDatabase
    ) -> None:
        for symbol in ("MKC-USD", "MKB-USD", "MKD-BTC"):
            await list_instrument(platform_database, symbol)

        page = (await api.get("/market/instruments", params={"limit": 2, "cursor": "MKA-ZZZ"})).json()

        assert [item["symbol"] for item in page["items"]] == ["MKB-USD", "MKC-USD"]
        assert page["next_cursor"] == "MKC-USD"
        rest = (await api.get("/market/instruments", params={"cursor": "MKC-USD"})).json()
        assert rest["items"][0] == {
            "symbol": "MKD-BTC",
            "exchange": "paper",
            "base": "MKD",
            "quote": "BTC",
            "tick": "0.00000001",
            "lot": "0.0001",
            "min_notional": "0.00001",
            "status": "trading",
            "source": "directory",
        }
        assert START.tzinfo is not None
