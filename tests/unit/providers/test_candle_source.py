import subprocess
import sys
from pathlib import Path

import pytest

from alphapulse.providers.candles import Exchange, as_exchange, candle_source, exchange_endpoints
from alphapulse.runtime.settings import InvalidSetting, Settings
from alphapulse.tenancy.cache import CacheConnection


class NotCounted:
    """Counts nothing."""

    def fetched(self, source: str, dataset: str, outcome: str) -> None:
        pass

    def read(self, dataset: str, outcome: str) -> None:
        pass


def test_directory_is_chosen_when_there_is_one(tmp_path: Path) -> None:
    assert candle_source(tmp_path, 1).name == "directory"


def test_simulation_is_chosen_without_a_directory() -> None:
    assert candle_source(None, 1).name == "simulated"


def test_directory_that_does_not_exist_is_no_reason_to_simulate(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        candle_source(tmp_path / "nowhere", 1)


def test_serving_a_directory_imports_no_numpy(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom alphapulse.providers.candles import candle_source\n"
        f"candle_source(pathlib.Path({str(tmp_path)!r}), 1)\nprint('numpy' in sys.modules)"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["binance", "coinbase", "kraken"])
async def test_exchange_is_chosen_where_there_is_no_directory(name: str, tmp_path: Path) -> None:
    exchange = Exchange(name=name, cache=CacheConnection(None), observer=NotCounted())

    source = candle_source(None, 1, exchange=exchange)

    assert source.name == name
    assert as_exchange(source) is source
    assert candle_source(tmp_path, 1, exchange=exchange).name == "directory"
    assert as_exchange(candle_source(None, 1)) is None
    await source.close()


def test_an_exchange_without_an_adapter_is_refused() -> None:
    with pytest.raises(ValueError, match="no adapter for market data of 'mtgox'"):
        exchange_endpoints("mtgox")


@pytest.mark.parametrize("name", ["binance", "coinbase", "kraken"])
def test_market_data_leaves_room_for_trading(name: str) -> None:
    # Binance counts a weight of 6,000 a minute, of which these requests take 2 each; the others, requests.
    allowed = {"binance": 6000 / 2, "coinbase": 600, "kraken": 60}

    assert exchange_endpoints(name).facts.pace.per_minute <= 0.8 * allowed[name]


def test_choosing_an_exchange_imports_no_http_client_and_no_numpy() -> None:
    program = (
        "import sys\nfrom alphapulse.runtime.market_source import market_source\n"
        "from alphapulse.runtime.settings import Settings\n"
        "from alphapulse.tenancy.cache import CacheConnection\n"
        "settings = Settings(market_data_source='binance')\n"
        "market_source(settings, cache=CacheConnection(None), clock=lambda: None)\n"
        "print([name for name in ('numpy', 'httpx', 'redis', 'prometheus_client') if name in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_symbols_of_an_exchange_are_read_from_the_environment() -> None:
    settings = Settings.from_environment({"MARKET_SYMBOLS": "BTC-USDT, ETH-USDT"})

    assert settings.market_symbols == ("BTC-USDT", "ETH-USDT")
    with pytest.raises(InvalidSetting, match="MARKET_SYMBOLS must be symbols such as BTC-USDT"):
        Settings.from_environment({"MARKET_SYMBOLS": "BTCUSDT"})
    with pytest.raises(InvalidSetting, match="MARKET_DATA_SOURCE must match"):
        Settings.from_environment({"MARKET_DATA_SOURCE": "mtgox"})
