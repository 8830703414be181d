"""CoinGecko and Ethplorer: answers as documented, and every way in which they may be less than that."""

import datetime as dt
from typing import Any

import pytest

from alphapulse.providers.assets import ASSETS
from alphapulse.providers.errors import AnswerMalformed, AssetUnknown, SourceRefuses
from alphapulse.providers.providers import ProviderOptions, SourceKind
from alphapulse.providers.source import SourceContext
from alphapulse.providers.supply.coingecko import CoinGecko
from alphapulse.providers.supply.ethplorer import Ethplorer
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers.answers import coin, holders
from tests.integration.providers.conftest import NOW, Clock
from tests.source_server import Reply, SourceServer


@pytest.fixture
def coingecko(context: SourceContext) -> CoinGecko:
    return CoinGecko(context)


@pytest.fixture
def ethplorer(context: SourceContext) -> Ethplorer:
    return Ethplorer(context)


async def test_one_question_brings_the_figures_of_all_coins(
    coingecko: CoinGecko, server: SourceServer
) -> None:
    server.answer = lambda _: [coin("bitcoin"), coin("ethereum", current_price=3_000, max_supply=None)]

    found = await coingecko.fetch_all()

    (question,) = server.questions
    assert question.path == "/api/v3/coins/markets"
    assert question.parameters["vs_currency"] == "usd"
    asked = set(question.parameters["ids"].split(","))
    assert asked == {ids.coingecko for ids in ASSETS.values() if ids.coingecko}
    assert len(asked) <= int(question.parameters["per_page"])
    assert found.keys() == {"BTC", "ETH"}
    assert {name: figure.value for name, figure in found["BTC"].items()} == {
        "price_usd": 80_123.5,
        "market_cap_usd": 1.598e12,
        "circulating_supply": 19_950_000.0,
        "max_supply": 21_000_000.0,
        "volume_24h_usd": 31_260_929_299.0,
    }
    assert {(figure.source, figure.as_of) for figure in found["BTC"].values()} == {
        ("coingecko", dt.datetime(2026, 6, 15, 12, 29, 10, 123_000, tzinfo=dt.UTC))
    }
    assert "max_supply" not in found["ETH"]


@pytest.mark.parametrize("value", [None, 0, -5])
async def test_a_market_value_that_is_not_known_is_absent(
    coingecko: CoinGecko, server: SourceServer, value: Any
) -> None:
    server.answer = lambda _: [coin(market_cap=value)]

    figures = (await coingecko.fetch_all())["BTC"]

    assert "market_cap_usd" not in figures
    assert "price_usd" in figures


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"status": {"error_code": 10005}},
        [],
        [1],
        [{"name": "Bitcoin"}],
        [{"id": "bitcoin"}],
        [coin("dogwifhat")],
        [coin(current_price={})],
        [coin(last_updated=None)],
        [coin(last_updated="today")],
        [coin(last_updated="2026-06-15T12:29:10")],
    ],
)
async def test_another_shape_of_coins_is_malformed(
    coingecko: CoinGecko, server: SourceServer, document: Any
) -> None:
    server.answer = lambda _: document

    with pytest.raises(AnswerMalformed, match="coingecko answered"):
        await coingecko.fetch_all()


async def test_a_coin_that_rests_takes_no_other_with_it(coingecko: CoinGecko, server: SourceServer) -> None:
    server.answer = lambda _: [coin("bitcoin"), coin("maker", last_updated=None), coin("ethereum")]

    assert (await coingecko.fetch_all()).keys() == {"BTC", "ETH"}


async def test_coins_that_are_mostly_odd_are_another_format(
    coingecko: CoinGecko, server: SourceServer
) -> None:
    server.answer = lambda _: [
        coin("bitcoin"),
        coin("maker", last_updated=None),
        coin("ethereum", last_updated=None),
    ]

    with pytest.raises(AnswerMalformed, match="the figures of"):
        await coingecko.fetch_all()


@pytest.mark.parametrize(
    ("key", "header"), [(None, None), ("CG-demo-key", "x-cg-demo-api-key")], ids=["without", "with"]
)
async def test_a_key_travels_in_its_header_and_never_in_the_address(
    server: SourceServer, clock: Clock, key: str | None, header: str | None
) -> None:
    keys = {} if key is None else {"coingecko": key}
    options = ProviderOptions(kind=SourceKind.LIVE, addresses={"coingecko": server.url}, keys=keys)
    context = SourceContext(options, CacheConnection(None), clock=clock)
    server.answer = lambda _: [coin()]

    await CoinGecko(context).fetch_all()

    (question,) = server.questions
    sent = {name: value for name, value in question.headers.items() if name.startswith("x-cg")}
    assert sent == ({} if header is None else {header: key})
    assert key is None or key not in question.parameters.values()
    assert key is None or key not in repr(options)
    await context.close()


async def test_the_shares_of_the_largest_holders_are_added_up(
    ethplorer: Ethplorer, server: SourceServer
) -> None:
    server.answer = lambda _: holders([0.2] * 90 + [5.5] * 10)

    found = await ethplorer.fetch("UNI")

    (question,) = server.questions
    assert question.path == "/getTopTokenHolders/0x1f9840a85d5aF5bf1D1762F925BDADdC4201F984"
    assert question.parameters == {"apiKey": "freekey", "limit": "100"}
    assert found["top_10_holder_share"].value == pytest.approx(0.55)
    assert found["top_100_holder_share"].value == pytest.approx(0.73)
    assert {(figure.source, figure.as_of) for figure in found.values()} == {("ethplorer", NOW)}


async def test_shares_that_round_to_more_than_all_are_all(ethplorer: Ethplorer, server: SourceServer) -> None:
    server.answer = lambda _: holders([10.005] * 10 + [0] * 90)

    assert (await ethplorer.fetch("UNI"))["top_10_holder_share"].value == 1.0


async def test_fewer_holders_than_a_hundred_say_nothing_about_a_hundred(
    ethplorer: Ethplorer, server: SourceServer
) -> None:
    server.answer = lambda _: holders([2.0] * 40)

    assert (await ethplorer.fetch("UNI")).keys() == {"top_10_holder_share"}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"holders": None},
        {"holders": []},
        holders([1.0] * 9),
        holders([20.0] * 10),
        holders([None] * 100),
        holders(["much"] * 100),
        {"holders": [{"balance": 1}] * 100},
    ],
)
async def test_another_shape_of_holders_is_malformed(
    ethplorer: Ethplorer, server: SourceServer, document: Any
) -> None:
    server.answer = lambda _: document

    with pytest.raises(AnswerMalformed, match="ethplorer answered"):
        await ethplorer.fetch("UNI")


async def test_a_coin_that_is_no_token_of_ethereum_is_not_asked_for(
    ethplorer: Ethplorer, server: SourceServer
) -> None:
    assert not ethplorer.covers("BTC")
    with pytest.raises(AssetUnknown):
        await ethplorer.fetch("BTC")

    assert server.questions == []


async def test_a_wrong_key_is_a_refusal(ethplorer: Ethplorer, server: SourceServer) -> None:
    server.answer = lambda _: Reply({"error": {"code": 1, "message": "Invalid API key"}}, status=401)

    with pytest.raises(SourceRefuses, match="ethplorer refuses with 401"):
        await ethplorer.fetch("UNI")
