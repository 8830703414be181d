"""A source that answers when a test lets it, and a Redis where nothing is remembered of other tests."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from alphapulse.runtime.settings import Secret, Settings
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.source_server import Reply, SourceServer

ADDRESSES = (
    "coin_metrics_url",
    "blockchain_com_url",
    "coingecko_url",
    "ethplorer_url",
    "reddit_url",
    "x_url",
    "snapshot_url",
    "tally_url",
    "defillama_url",
)


class GatedSource(SourceServer):
    """Every service at one address; its answers wait at a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = lambda _: Reply(status=500, body={})
        self.gate = asyncio.Event()
        self.gate.set()

    async def asked(self) -> None:
        """Wait until a question has arrived."""
        async with asyncio.timeout(10):
            while not self.questions:
                await asyncio.sleep(0.01)

    async def _reply(self, writer: asyncio.StreamWriter, reply: Reply) -> None:  # type: ignore[override]
        await self.gate.wait()
        await SourceServer._reply(writer, reply)


@pytest.fixture
async def source() -> AsyncIterator[GatedSource]:
    """A source that is down."""
    started = GatedSource()
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of this test alone."""
    started = EmbeddedRedis(tmp_path / "redis", password=secrets.token_urlsafe(16))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def function_settings(
    function_settings: Settings, redis_server: EmbeddedRedis, source: GatedSource
) -> Settings:
    """All services at the test's source."""
    known = {name: source.url for name in ADDRESSES if hasattr(function_settings, name)}
    return function_settings.replace(redis_url=Secret(redis_server.url), **known)
