"""Exchanges with their public endpoints, and sources of candles that ask them."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import redis.asyncio as redis

from alphapulse.providers.budget import Pace, SourceBudget
from alphapulse.providers.candles import exchange_endpoints
from alphapulse.providers.candles.exchange import ExchangeCandles
from alphapulse.providers.candles.exchange_client import ExchangeClient
from alphapulse.providers.shared_reads import SharedReads
from alphapulse.tenancy.cache import CacheConnection
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.exchange_simulators.binance import BinanceSimulator
from tests.exchange_simulators.coinbase import CoinbaseSimulator
from tests.exchange_simulators.kraken import KrakenSimulator

SIMULATORS = {"binance": BinanceSimulator, "coinbase": CoinbaseSimulator, "kraken": KrakenSimulator}
NOON = dt.datetime(2026, 3, 4, 12, 0, 30, tzinfo=dt.UTC)
MAJORS = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "AVAX", "LINK", "LTC", "DOT", "BCH")


@dataclass
class Counts:
    """Counts questions, as the metrics do."""

    reads: dict[tuple[str, str], int] = field(default_factory=dict)

    def fetched(self, source: str, dataset: str, outcome: str) -> None:
        key = (f"{source} {dataset}", outcome)
        self.reads[key] = self.reads.get(key, 0) + 1

    def read(self, dataset: str, outcome: str) -> None:
        self.reads[dataset, outcome] = self.reads.get((dataset, outcome), 0) + 1


@dataclass
class Market:
    """A simulated exchange, a clock, and processes that ask it."""

    name: str
    simulator: BinanceSimulator | CoinbaseSimulator | KrakenSimulator
    redis_url: str
    quote: str
    now: dt.datetime = NOON
    opened: list[tuple[ExchangeCandles, CacheConnection]] = field(default_factory=list)

    @property
    def symbol(self) -> str:
        return f"BTC-{self.quote}"

    def clock(self) -> dt.datetime:
        return self.now

    def source(
        self,
        *symbols: str,
        pace: Pace | None = None,
        deadline_seconds: float = 5.0,
        with_redis: bool = True,
    ) -> ExchangeCandles:
        """Return the source of candles of one more process."""
        cache = CacheConnection(self.redis_url if with_redis else None)
        market = exchange_endpoints(self.name)
        budget = SourceBudget(
            cache,
            f"{self.name}-market",
            pace=pace or Pace(per_minute=60_000, burst=1000),
            patience_seconds=0.2,
        )
        client = ExchangeClient(
            market, self.simulator.url, budget=budget, clock=self.clock, deadline_seconds=deadline_seconds
        )
        reads = SharedReads(cache, clock=self.clock, observer=Counts(), failure_seconds=3.0)
        source = ExchangeCandles(market, client, reads=reads, symbols=symbols, clock=self.clock)
        self.opened.append((source, cache))
        return source

    def asked(self, part: str) -> int:
        """How many requests had a path with this in it."""
        return sum(part in request.path for request in self.simulator.requests)

    async def close(self) -> None:
        for source, cache in self.opened:
            await source.close()
            await cache.close()


@pytest.fixture
async def forget(redis_server: EmbeddedRedis) -> AsyncIterator[None]:
    """Forget what other tests have asked exchanges for."""
    client = redis.Redis.from_url(redis_server.url)
    keys = [*await client.keys("meta:source:*"), *await client.keys("shared:provider:*")]
    if keys:
        await client.delete(*keys)
    yield
    await client.aclose()


@pytest.fixture
async def open_market(redis_server: EmbeddedRedis, forget: None) -> AsyncIterator[Callable[[str], Market]]:
    """`await open_market("binance")`: an exchange that has the majors."""
    opened: list[Market] = []

    async def start(name: str) -> Market:
        simulator = SIMULATORS[name]()
        await simulator.start()
        quote = exchange_endpoints(name).facts.quotes[0]
        market = Market(name, simulator, redis_server.url, quote)
        simulator.book.symbols = {f"{base}-{quote}" for base in MAJORS}
        simulator.book.now = market.clock
        opened.append(market)
        return market

    yield start  # type: ignore[misc]  # awaited by the fixtures below
    for market in opened:
        await market.close()
        await market.simulator.stop()


@pytest.fixture(params=["binance", "coinbase", "kraken"])
async def market(request: pytest.FixtureRequest, open_market: Callable[[str], Market]) -> Market:
    """Each of the exchanges."""
    return await open_market(request.param)  # type: ignore[misc]  # as above
