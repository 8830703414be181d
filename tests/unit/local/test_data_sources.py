"""What is chosen for candles and research data, and how long that may take."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alphapulse_local.cli import main
from alphapulse_local.configuration import source_keys
from alphapulse_local.data_sources import PROBE_SECONDS, choose
from alphapulse_local.embedded.process import free_port
from alphapulse_local.options import Options


@contextlib.asynccontextmanager
async def server(body: bytes = b"{}", *, status: int = 200, after: float = 0.0) -> AsyncIterator[str]:
    """An address that answers every request so, after a time; with no time at all it stays silent."""
    handlers: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(after)
            head = f"HTTP/1.1 {status} X\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    running = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        running.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


def closed() -> str:
    return f"http://127.0.0.1:{free_port()}"


def addresses(**chosen: str) -> dict[str, str]:
    names = ("BINANCE_URL", "COINBASE_URL", "KRAKEN_URL", "COIN_METRICS_URL", "COINGECKO_URL")
    return {name: chosen.get(name) or closed() for name in names}


async def test_closed_ports_mean_a_simulation_at_once() -> None:
    began = time.perf_counter()

    sources = await choose(Options(), addresses())

    assert time.perf_counter() - began < 1
    assert (sources.candles.source, sources.research.source) == ("simulated", "simulated")
    assert sources.candles.reason == "no exchange answered within 1.5 s"
    assert sources.settings() == {
        "MARKET_DATA_DIR": "",
        "PROVIDER_DATA_DIR": "",
        "MARKET_DATA_SOURCE": "simulated",
        "PROVIDER_SOURCE": "simulated",
    }


async def test_silent_servers_are_waited_for_no_longer_than_the_deadline() -> None:
    async with server(after=30) as silent:
        began = time.perf_counter()

        sources = await choose(Options(), addresses(**dict.fromkeys(addresses(), silent)))

        assert PROBE_SECONDS - 0.1 < time.perf_counter() - began < PROBE_SECONDS + 1
        assert sources.candles.source == "simulated"


async def test_an_exchange_that_answers_is_chosen_and_the_services_are_live() -> None:
    async with server() as up:
        sources = await choose(Options(), addresses(COINBASE_URL=up, COINGECKO_URL=up))

    assert (sources.candles.source, sources.research.source) == ("coinbase", "live")
    assert "Coinbase's public endpoint answers" in sources.notes()
    assert sources.settings()["MARKET_DATA_SOURCE"] == "coinbase"
    assert sources.document()["research data"]["reason"] == "CoinGecko answers"


async def test_the_preferred_exchange_wins_when_it_answers_a_little_later() -> None:
    async with server(after=0.1) as slow, server() as quick:
        sources = await choose(Options(), addresses(BINANCE_URL=slow, KRAKEN_URL=quick))

    assert sources.candles.source == "binance"


async def test_the_exchange_of_the_last_start_is_kept_while_it_answers(tmp_path: Path) -> None:
    memory = tmp_path / "market-source"
    options = Options(provider_source="simulated")
    async with server() as up:
        first = await choose(options, addresses(KRAKEN_URL=up), memory=memory)
        both = await choose(options, addresses(BINANCE_URL=up, KRAKEN_URL=up), memory=memory)
        other = await choose(options, addresses(BINANCE_URL=up), memory=memory)
    offline = await choose(options, addresses(), memory=memory)

    chosen = [sources.candles.source for sources in (first, both, other, offline)]
    assert chosen == ["kraken", "kraken", "binance", "simulated"]
    assert memory.read_text() == "binance"


async def test_a_silent_preferred_exchange_delays_the_next_one_by_moments() -> None:
    async with server(after=30) as silent, server() as quick:
        began = time.perf_counter()

        sources = await choose(
            Options(provider_source="live"), addresses(BINANCE_URL=silent, KRAKEN_URL=quick)
        )

        assert sources.candles.source == "kraken"
        assert time.perf_counter() - began < 1.2


@pytest.mark.parametrize(("status", "body"), [(451, b"{}"), (200, b"<html>log in</html>"), (302, b"{}")])
async def test_a_refusal_or_a_page_in_front_of_the_network_is_no_exchange(status: int, body: bytes) -> None:
    async with server(body, status=status) as wall:
        sources = await choose(Options(), addresses(BINANCE_URL=wall))

    assert sources.candles.source == "simulated"


async def test_what_is_asked_for_is_chosen_without_asking_anybody() -> None:
    async with server() as up:
        options = Options(market_data_source="simulated", provider_source="simulated")
        sources = await choose(options, dict.fromkeys(addresses(), up))

    assert sources.candles.reason == "MARKET_DATA_SOURCE is set"
    assert sources.settings()["PROVIDER_SOURCE"] == "simulated"


async def test_directories_win_over_everything(tmp_path: Path) -> None:
    options = Options(market_data_dir=tmp_path, provider_data_dir=tmp_path, market_data_source="binance")

    sources = await choose(options, {})

    assert sources.candles.source == sources.research.source == "directory"
    assert sources.settings()["MARKET_DATA_DIR"] == str(tmp_path)


def test_a_source_that_there_is_not_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MARKET_DATA_SOURCE", "mtgox")

    with pytest.raises(SystemExit) as refused:
        main(["up"])

    assert refused.value.code == 2
    assert "must be one of binance, coinbase, kraken, simulated, was 'mtgox'" in capsys.readouterr().err


def test_keys_of_data_sources_become_secrets_and_absent_ones_do_not() -> None:
    environment = {"X_BEARER_TOKEN": "bearer", "TALLY_API_KEY": ""}

    assert source_keys(environment) == {"x": {"bearer-token": "bearer"}}
