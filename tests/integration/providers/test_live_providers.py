"""All live sources together: what one lacks another fills, and what is missing is told."""

from collections.abc import Callable

import pytest

from alphapulse.providers.errors import AssetUnknown, ProviderError, SourceBusy, SourceDown
from alphapulse.providers.providers import Providers
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers import answers
from tests.integration.providers.conftest import Clock
from tests.provider_counts import Counts
from tests.source_server import Question, Reply, SourceServer

Build = Callable[[CacheConnection], Providers]


@pytest.fixture
def providers(new_providers: Build, connection: CacheConnection, server: SourceServer) -> Providers:
    server.answer = answers.everything
    return new_providers(connection)


@pytest.fixture
def other(new_providers: Build, other_connection: CacheConnection) -> Providers:
    """As another process has them."""
    return new_providers(other_connection)


def failing(server: SourceServer, prefix: str, reply: Reply) -> None:
    """Answer questions below a path with a failure."""

    def answer(question: Question) -> object:
        return reply if question.path.startswith(prefix) else answers.everything(question)

    server.answer = answer


async def test_bitcoin_has_series_of_both_sources_each_with_its_name(providers: Providers) -> None:
    missing: dict[str, str] = {}

    found = await providers.on_chain("BTC", missing=missing)

    sources = {name: series.source for name, series in found.items()}
    assert sources.pop("transfer_volume_usd") == "blockchain_com"
    assert set(sources.values()) == {"coin_metrics"}
    assert missing == {}


async def test_a_source_that_is_down_is_filled_in_for_and_named(
    providers: Providers, server: SourceServer
) -> None:
    failing(server, "/v4/", Reply({}, status=500))
    missing: dict[str, str] = {}

    found = await providers.on_chain("BTC", missing=missing)

    assert {series.source for series in found.values()} == {"blockchain_com"}
    assert missing == {"on_chain.coin_metrics": "coin_metrics answered 500"}


async def test_a_chart_that_failed_is_asked_for_again_within_minutes_and_a_whole_answer_is_not(
    providers: Providers, server: SourceServer, clock: Clock, connection: CacheConnection
) -> None:
    failing(server, "/charts/estimated-transaction-volume-usd", Reply({}, status=500))
    assert "transfer_volume_usd" not in await providers.on_chain("BTC")

    server.answer = answers.everything
    clock.forward(301)
    # The budget goes by the clock of Redis, on which no time has passed.
    await connection.run("DEL", "meta:source:{blockchain_com}:pace")
    assert "transfer_volume_usd" in await providers.on_chain("BTC")

    asked = len(server.questions)
    clock.forward(301)
    assert "transfer_volume_usd" in await providers.on_chain("BTC")
    assert len(server.questions) == asked


async def test_no_source_left_is_an_error_with_every_reason(
    providers: Providers, server: SourceServer
) -> None:
    server.answer = lambda _: Reply({}, status=500)

    with pytest.raises(SourceDown, match=r"^coin_metrics answered 500; blockchain_com answered 500$"):
        await providers.on_chain("BTC")
    # Remembered failures are raised as they were.
    with pytest.raises(SourceDown, match=r"^coin_metrics answered 500; blockchain_com answered 500$"):
        await providers.on_chain("BTC")


async def test_a_series_that_lags_behind_gives_way_to_a_fresher_one(
    providers: Providers, server: SourceServer
) -> None:
    def answer(question: Question) -> object:
        if question.path.startswith("/v4/"):
            return {"data": answers.coin_metrics_rows(days=5)}
        return answers.everything(question)

    server.answer = answer

    assert (await providers.on_chain("BTC"))["price_usd"].source == "blockchain_com"


async def test_supply_has_figures_of_both_sources(providers: Providers) -> None:
    found = await providers.supply("UNI")

    assert {name: figure.source for name, figure in found.items()} == {
        "price_usd": "coingecko",
        "market_cap_usd": "coingecko",
        "circulating_supply": "coingecko",
        "volume_24h_usd": "coingecko",
        "top_10_holder_share": "ethplorer",
        "top_100_holder_share": "ethplorer",
    }


async def test_holders_that_are_missing_are_named(providers: Providers, server: SourceServer) -> None:
    failing(server, "/getTopTokenHolders/", Reply({}, status=403))
    missing: dict[str, str] = {}

    assert "market_cap_usd" in await providers.supply("UNI", missing=missing)
    assert missing == {"supply.ethplorer": "ethplorer refuses with 403"}


async def test_all_coins_of_all_processes_cost_one_question(
    providers: Providers, other: Providers, server: SourceServer, counts: Counts
) -> None:
    for each in (providers, other, providers):
        assert (await each.supply("BTC"))["price_usd"].value == 80_123.5
        with pytest.raises(AssetUnknown, match="coingecko gave nothing about LTC"):
            await each.supply("LTC")

    assert [question.path for question in server.questions] == ["/api/v3/coins/markets"]
    assert counts.fetches == {("coingecko", "supply", "ok"): 1}
    assert counts.reads[("supply", "miss")] == 1


async def test_another_process_gets_the_very_same_figures(providers: Providers, other: Providers) -> None:
    mine, theirs = await providers.on_chain("BTC"), await other.on_chain("BTC")

    assert mine.keys() == theirs.keys()
    for name, series in mine.items():
        assert theirs[name].days == series.days
        assert theirs[name].values.tobytes() == series.values.tobytes()
        assert (theirs[name].source, theirs[name].retrieved_at) == (series.source, series.retrieved_at)
    assert await providers.supply("UNI") == await other.supply("UNI")


async def test_holders_are_asked_for_a_few_times_a_day_only(
    providers: Providers, server: SourceServer, clock: Clock
) -> None:
    for _ in range(3):
        await providers.supply("UNI")
        clock.forward(301)

    paths = [question.path.split("/")[1] for question in server.questions]
    assert (paths.count("api"), paths.count("getTopTokenHolders")) == (3, 1)


async def test_a_source_that_asks_for_a_pause_is_asked_by_no_process(
    providers: Providers, other: Providers, server: SourceServer
) -> None:
    failing(server, "/v4/", Reply({}, status=429, headers={"retry-after": "60"}))
    with pytest.raises(SourceBusy, match="coin_metrics takes no more requests for 60 s"):
        await providers.on_chain("ETH")

    for each, asset in ((providers, "LTC"), (other, "ETH"), (other, "ADA")):
        with pytest.raises(SourceBusy):
            await each.on_chain(asset)

    assert len(server.questions) == 1


@pytest.mark.parametrize("asset", ["NOPE", "", "btc", "../BTC", "B" * 200, "BTC\n", "\u2164"])
async def test_an_unknown_or_malformed_asset_is_asked_of_nobody(
    providers: Providers, server: SourceServer, asset: str
) -> None:
    for question in (providers.on_chain, providers.supply):
        with pytest.raises(AssetUnknown) as caught:
            await question(asset)
        assert len(str(caught.value)) < 100

    assert server.questions == []


async def test_without_redis_all_works_within_the_process(
    new_providers: Build, server: SourceServer, counts: Counts
) -> None:
    server.answer = answers.everything
    alone = new_providers(CacheConnection(None))

    for _ in range(3):
        assert "mvrv" in await alone.on_chain("ETH")

    assert len(server.questions) == 1
    assert counts.reads == {("on_chain", "miss"): 1, ("on_chain", "hit"): 2}


async def test_every_error_is_one_that_an_agent_can_give_as_its_reason(
    providers: Providers, server: SourceServer
) -> None:
    for reply in (Reply({}, status=401), Reply(b"?"), Reply({"data": [{}]}), Reply({}, length=99)):
        failing(server, "/", reply)
        for asset in ("LTC", "ADA", "DASH"):
            with pytest.raises(ProviderError, match=r"^coin_metrics \w+") as caught:
                await providers.on_chain(asset)
            assert "127.0" not in str(caught.value)
