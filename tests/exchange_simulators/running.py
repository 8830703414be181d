"""The simulated exchanges in a thread of their own, for tests that are not asynchronous."""

import asyncio
import base64
import secrets
import threading
from typing import Any

from tests.exchange_simulators.binance import BinanceSimulator
from tests.exchange_simulators.binance import Key as BinanceKey
from tests.exchange_simulators.coinbase import CoinbaseSimulator
from tests.exchange_simulators.kraken import Key as KrakenKey
from tests.exchange_simulators.kraken import KrakenSimulator


class RunningExchanges:
    """All of them, until `stop`."""

    def __init__(self) -> None:
        self.binance = BinanceSimulator()
        self.coinbase = CoinbaseSimulator()
        self.kraken = KrakenSimulator()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """Settings of functions that are to reach them."""
        return {
            "BINANCE_URL": self.binance.url,
            "COINBASE_URL": self.coinbase.url,
            "KRAKEN_URL": self.kraken.url,
        }

    def start(self) -> None:
        self._thread.start()
        for simulator in (self.binance, self.coinbase, self.kraken):
            asyncio.run_coroutine_threadsafe(simulator.start(), self._loop).result(10)

    def stop(self) -> None:
        for simulator in (self.binance, self.coinbase, self.kraken):
            asyncio.run_coroutine_threadsafe(simulator.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def binance_key(self) -> dict[str, Any]:
        """Issue a key and return the body that stores it."""
        api_key, secret = secrets.token_hex(32), secrets.token_urlsafe(48)
        self.binance.keys[api_key] = BinanceKey(secret)
        return {"exchange": "binance", "api_key": api_key, "api_secret": secret}

    def kraken_key(self) -> dict[str, Any]:
        """Issue a key and return the body that stores it."""
        api_key, secret = secrets.token_hex(28), base64.b64encode(secrets.token_bytes(64)).decode()
        self.kraken.keys[api_key] = KrakenKey(secret)
        return {"exchange": "kraken", "api_key": api_key, "api_secret": secret}
