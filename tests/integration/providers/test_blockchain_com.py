"""blockchain.com: charts as documented, and every way in which they may be less than that."""

import datetime as dt
import math
from typing import Any

import numpy as np
import pytest

from alphapulse.providers.errors import AnswerMalformed, AssetUnknown, SourceDown
from alphapulse.providers.on_chain.blockchain_com import BlockchainCom
from alphapulse.providers.source import SourceContext
from tests.integration.providers.answers import DAYS, FIRST_DAY, blockchain_com, chart, midnight
from tests.source_server import Question, Reply, SourceServer


@pytest.fixture
def source(context: SourceContext, server: SourceServer) -> BlockchainCom:
    server.answer = blockchain_com
    return BlockchainCom(context)


def answer_prices(server: SourceServer, document: Any) -> None:
    """Answer with this to the question for prices, and well to others."""

    def answer(question: Question) -> Any:
        return document if question.path == "/charts/market-price" else blockchain_com(question)

    server.answer = answer


async def test_all_charts_become_daily_series(source: BlockchainCom, server: SourceServer) -> None:
    found = await source.fetch("BTC")

    assert {question.path for question in server.questions} == {
        f"/charts/{name}"
        for name in (
            *("market-price", "market-cap", "mvrv", "estimated-transaction-volume-usd", "hash-rate"),
            *("n-unique-addresses", "n-transactions", "transaction-fees-usd", "total-bitcoins"),
        )
    }
    for question in server.questions:
        plain = {"timespan": "6years", "sampled": "false", "format": "json"}
        assert question.parameters == plain | ({"metadata": "false"} if "mvrv" in question.path else {})
    price = found["price_usd"]
    assert (price.source, len(price), price.days[0], price.values[0]) == (
        "blockchain_com",
        DAYS,
        FIRST_DAY,
        80_100.5,
    )
    np.testing.assert_allclose(found["realised_cap_usd"].values, np.full(DAYS, 1e12), rtol=1e-12)
    assert len(found) == 10


async def test_of_several_points_of_a_day_the_last_one_counts(
    source: BlockchainCom, server: SourceServer
) -> None:
    start = midnight(FIRST_DAY)
    answer_prices(server, chart([(start + 86_399, 3.0), (start, 1.0), (start + 7_200, 2.0)]))

    price = (await source.fetch("BTC"))["price_usd"]

    assert (price.days, price.values.tolist()) == ((FIRST_DAY,), [3.0])


async def test_null_points_become_holes(source: BlockchainCom, server: SourceServer) -> None:
    start = midnight(FIRST_DAY)
    answer_prices(server, chart([(start, None), (start + 86_400, 1.4627e7)]))

    first, second = (await source.fetch("BTC"))["price_usd"].values.tolist()

    assert math.isnan(first)
    assert second == 14_627_000.0


async def test_the_day_that_has_not_ended_is_left_out(source: BlockchainCom, server: SourceServer) -> None:
    today, yesterday = midnight(dt.date(2026, 6, 15)), midnight(dt.date(2026, 6, 14))
    answer_prices(server, chart([(yesterday, 1.0), (today, 2.0)]))

    assert (await source.fetch("BTC"))["price_usd"].days == (dt.date(2026, 6, 14),)


@pytest.mark.parametrize(
    "document",
    [
        Reply({}, status=404),
        Reply({}, status=500),
        Reply(b"<html>"),
        [],
        {},
        {"values": None},
        {"values": []},
        {"values": [{"x": 1}]},
        {"values": [{"x": "now", "y": 1}]},
        {"values": [{"x": 10**30, "y": 1}]},
        {"values": [{"x": 1, "y": {}}]},
        {"values": [{"x": 10**17, "y": 1}]},
        {"values": [[1, 2]]},
    ],
)
async def test_a_chart_that_fails_takes_no_other_with_it(
    source: BlockchainCom, server: SourceServer, document: Any
) -> None:
    answer_prices(server, document)

    found = await source.fetch("BTC")

    assert "price_usd" not in found
    assert len(found) == 9


async def test_all_charts_failing_is_the_failure(source: BlockchainCom, server: SourceServer) -> None:
    server.answer = lambda _: Reply({}, status=500)

    with pytest.raises(SourceDown, match="blockchain_com answered 500"):
        await source.fetch("BTC")


async def test_all_charts_malformed_is_malformed(source: BlockchainCom, server: SourceServer) -> None:
    server.answer = lambda _: {"status": "not-found"}

    with pytest.raises(AnswerMalformed, match="in another shape than documented"):
        await source.fetch("BTC")


async def test_another_asset_is_not_asked_for(source: BlockchainCom, server: SourceServer) -> None:
    assert not source.covers("ETH")
    with pytest.raises(AssetUnknown):
        await source.fetch("ETH")

    assert server.questions == []
