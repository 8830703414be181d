"""A platform that finds an exchange when it starts: its prices, bars, signals from them, and its absence."""

from collections.abc import Iterator

import pytest

from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import NO_ADDRESS_LIMIT, START_SECONDS, User, eventually
from tests.exchange_simulators.running import RunningExchanges

pytestmark = pytest.mark.e2e

SYMBOL = "BTC-USD"


@pytest.fixture(scope="module")
def reachable() -> Iterator[RunningExchanges]:
    """Exchanges of which one can be reached: Binance refuses, Coinbase answers."""
    exchanges = RunningExchanges()
    exchanges.binance.down = 451
    exchanges.coinbase.book.symbols = {SYMBOL, "ETH-USD"}
    exchanges.start()
    yield exchanges
    exchanges.stop()


@pytest.fixture(scope="module")
def online(
    tmp_path_factory: pytest.TempPathFactory, reachable: RunningExchanges
) -> Iterator[RunningPlatform]:
    """A platform for which no source of prices was named."""
    environment = NO_ADDRESS_LIMIT | reachable.environment | {"MARKET_DATA_SOURCE": ""}
    platform = RunningPlatform(tmp_path_factory.mktemp("online"), environment=environment)
    platform.start(timeout_seconds=START_SECONDS)
    yield platform
    platform.stop()


def test_prices_bars_and_signals_are_the_exchanges(
    online: RunningPlatform, reachable: RunningExchanges
) -> None:
    assert online.status()["sources"]["candles"] == {
        "source": "coinbase",
        "reason": "Coinbase's public endpoint answers",
    }
    eventually(
        online.output,
        lambda said: "candles: coinbase (Coinbase's public endpoint answers)" in said,
        seconds=20,
    )
    with User(online.url) as user:
        bars = eventually(
            lambda: user.get(f"/market/{SYMBOL}/candles?interval=1h&limit=300"),
            lambda found: len(found["items"]) == 300,
        )
        ticker = user.get(f"/market/{SYMBOL}/ticker")
        user.follow_technical_alone("1h")
        run = user.run_agents(SYMBOL)
        status = user.finished_run(run)["status"]
        [signal] = user.signals_of(run, SYMBOL)
        order = user.http.post(
            "/trades",
            json={"symbol": SYMBOL, "side": "buy", "type": "market", "quantity": "0.1"},
            headers={"Idempotency-Key": "one"},
        )
        reachable.coinbase.down = 503
        gone = eventually(
            lambda: user.http.get(f"/market/{SYMBOL}/ticker"), lambda answer: answer.status_code == 503
        )

    assert (bars["source"], ticker["source"], ticker["stale"]) == ("coinbase", "coinbase", False)
    assert status == "done"
    assert {value["source"] for value in signal["inputs"]} == {"coinbase"}
    assert order.status_code == 201, order.text
    assert gone.json()["code"] == "dependency_down"
