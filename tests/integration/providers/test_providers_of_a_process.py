"""Providers as a function has them: from its settings, counted in its metrics, closed with it."""

import pytest

from alphapulse.providers.errors import ProviderError
from alphapulse.runtime.metrics import exposition
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Secret, Settings
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.integration.providers import answers
from tests.source_server import Reply, SourceServer


def count(name: str, **labels: str) -> float:
    """Read a counter off the metrics page."""
    page = exposition()[0].decode().splitlines()
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(
        float(line.rpartition(" ")[2])
        for line in page
        if line.startswith(f"{name}{{") and all(label in line for label in wanted)
    )


async def test_settings_choose_the_sources_and_metrics_count_them(
    own_redis: EmbeddedRedis, server: SourceServer
) -> None:
    server.answer = answers.everything
    settings = Settings(redis_url=Secret(own_redis.function_url), coin_metrics_url=server.url)
    resources, other = Resources(settings), Resources(settings)
    asked = {"source": "coin_metrics", "dataset": "on_chain", "outcome": "ok"}
    before = count("alphapulse_source_fetches_total", **asked)
    hits = count("alphapulse_shared_reads_total", dataset="on_chain", outcome="hit")

    for each in (resources, other, resources):
        assert "mvrv" in await each.providers.on_chain("ETH")

    assert count("alphapulse_source_fetches_total", **asked) == before + 1
    assert count("alphapulse_shared_reads_total", dataset="on_chain", outcome="hit") == hits + 2
    assert len(server.questions) == 1
    await resources.close()
    await other.close()


async def test_failures_are_counted_by_kind(own_redis: EmbeddedRedis, server: SourceServer) -> None:
    server.answer = lambda _: Reply({}, status=500)
    settings = Settings(redis_url=Secret(own_redis.function_url), coin_metrics_url=server.url)
    resources = Resources(settings)
    asked = {"source": "coin_metrics", "dataset": "on_chain", "outcome": "down"}
    before = count("alphapulse_source_fetches_total", **asked)

    for _ in range(3):
        with pytest.raises(ProviderError):
            await resources.providers.on_chain("ADA")

    assert count("alphapulse_source_fetches_total", **asked) == before + 1
    await resources.close()


async def test_a_function_without_a_cache_reads_all_the_same(server: SourceServer) -> None:
    server.answer = answers.everything
    resources = Resources(Settings(coingecko_url=server.url))

    assert (await resources.providers.supply("BTC"))["price_usd"].source == "coingecko"
    await resources.close()
