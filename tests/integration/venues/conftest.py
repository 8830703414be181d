"""Simulated exchanges, and keys they know."""

import datetime as dt
import itertools
from collections.abc import AsyncIterator

import pytest

from alphapulse.venues.exchanges import Exchanges
from tests.exchange_simulators.binance import BinanceSimulator
from tests.exchange_simulators.coinbase import CoinbaseSimulator
from tests.exchange_simulators.kraken import KrakenSimulator


@pytest.fixture
async def binance() -> AsyncIterator[BinanceSimulator]:
    simulator = BinanceSimulator()
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def coinbase() -> AsyncIterator[CoinbaseSimulator]:
    simulator = CoinbaseSimulator()
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def kraken() -> AsyncIterator[KrakenSimulator]:
    simulator = KrakenSimulator()
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def exchanges(
    binance: BinanceSimulator, coinbase: CoinbaseSimulator, kraken: KrakenSimulator
) -> AsyncIterator[Exchanges]:
    numbers = itertools.count(1)

    async def nonce(_: str) -> int:
        return next(numbers)

    urls = {"binance": binance.url, "coinbase": coinbase.url, "kraken": kraken.url}
    accounts = Exchanges(urls, clock=lambda: dt.datetime.now(dt.UTC), kraken_nonces=nonce)
    yield accounts
    await accounts.close()
