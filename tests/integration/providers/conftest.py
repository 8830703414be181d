"""A data source, a Redis of the test alone, and providers that know both."""

import datetime as dt
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from alphapulse.providers.providers import ProviderOptions, Providers, SourceKind
from alphapulse.providers.source import SourceContext
from alphapulse.tenancy.cache import CacheConnection
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.provider_counts import Counts
from tests.source_server import SourceServer

NOW = dt.datetime(2026, 6, 15, 12, 30, tzinfo=dt.UTC)

SOURCES = ("coin_metrics", "blockchain_com", "coingecko", "ethplorer")


class Clock:
    """A clock that stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def server() -> AsyncIterator[SourceServer]:
    started = SourceServer()
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of this test alone: what sources answered is shared by all who use one."""
    started = EmbeddedRedis(
        tmp_path / "redis", password=secrets.token_urlsafe(16), function_password=secrets.token_urlsafe(16)
    )
    started.start()
    yield started
    started.stop()


@pytest.fixture
async def connection(own_redis: EmbeddedRedis) -> AsyncIterator[CacheConnection]:
    opened = CacheConnection(own_redis.function_url)
    yield opened
    await opened.close()


@pytest.fixture
async def other_connection(own_redis: EmbeddedRedis) -> AsyncIterator[CacheConnection]:
    """As another process would have."""
    opened = CacheConnection(own_redis.function_url)
    yield opened
    await opened.close()


@pytest.fixture
def options(server: SourceServer) -> ProviderOptions:
    """All live sources, at the test's server."""
    return ProviderOptions(kind=SourceKind.LIVE, addresses=dict.fromkeys(SOURCES, server.url))


@pytest.fixture
async def context(options: ProviderOptions, clock: Clock) -> AsyncIterator[SourceContext]:
    """What a source is built from, without Redis."""
    built = SourceContext(options, CacheConnection(None), clock=clock)
    yield built
    await built.close()


@pytest.fixture
async def new_providers(
    options: ProviderOptions, clock: Clock, counts: Counts
) -> AsyncIterator[Callable[[CacheConnection], Providers]]:
    """Builds providers on a connection, as one process has them."""
    built: list[Providers] = []

    def build(connection: CacheConnection) -> Providers:
        built.append(Providers(options, cache=connection, clock=clock, observer=counts))
        return built[-1]

    yield build
    for providers in built:
        await providers.close()
