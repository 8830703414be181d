"""DefiLlama's treasuries: as documented, and every way in which they may be less than that."""

import datetime as dt
from typing import Any

import pytest

from alphapulse.providers.errors import AnswerMalformed, AssetUnknown, SourceRefuses
from alphapulse.providers.governance.defillama import DefiLlama
from alphapulse.providers.source import SourceContext
from tests.integration.providers.conftest import NOW
from tests.integration.providers.governance.answers import seconds, treasury
from tests.source_server import Reply, SourceServer


@pytest.fixture
def source(context: SourceContext) -> DefiLlama:
    return DefiLlama(context)


async def test_treasury_becomes_a_daily_series_without_proposals(
    source: DefiLlama, server: SourceServer
) -> None:
    server.answer = lambda _: treasury(1e8, 1.1e8, 1.2e8)

    found = await source.fetch("UNI")

    assert server.questions[0].path == "/treasury/uniswap"
    assert (found.proposals, found.eligible_votes, found.source) == ((), None, "defillama")
    series = found.treasury_usd
    assert series is not None
    assert (series.name, series.source, series.retrieved_at) == ("treasury_usd", "defillama", NOW)
    assert series.days == tuple(dt.date(2026, 6, day) for day in (12, 13, 14))
    assert series.values.tolist() == [1e8, 1.1e8, 1.2e8]


async def test_day_that_has_not_ended_is_left_out(source: DefiLlama, server: SourceServer) -> None:
    server.answer = lambda _: treasury(1e8, 2e8, until_days_ago=0)

    series = (await source.fetch("UNI")).treasury_usd

    assert series is not None
    assert series.values.tolist() == [1e8]


async def test_last_point_of_a_day_counts_in_whatever_order_they_come(
    source: DefiLlama, server: SourceServer
) -> None:
    noon = seconds(2)
    points = [{"date": noon + 60, "totalLiquidityUSD": 2.0}, {"date": noon, "totalLiquidityUSD": 1.0}]
    server.answer = lambda _: {"tvl": points}

    series = (await source.fetch("UNI")).treasury_usd

    assert series is not None
    assert series.values.tolist() == [2.0]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"tvl": None},
        {"tvl": []},
        {"tvl": [{"date": "2026-06-01", "totalLiquidityUSD": 1.0}]},
        {"tvl": [{"date": 1_780_000_000, "totalLiquidityUSD": None}]},
        {"tvl": [{"date": 1_780_000_000_000, "totalLiquidityUSD": 1.0}]},
        {"message": "Protocol is not in our database"},
    ],
)
async def test_answer_of_another_shape_is_malformed(
    source: DefiLlama, server: SourceServer, answer: Any
) -> None:
    server.answer = lambda _: answer

    with pytest.raises(AnswerMalformed, match="defillama answered"):
        await source.fetch("UNI")


async def test_unknown_treasury_is_a_refusal(source: DefiLlama, server: SourceServer) -> None:
    server.answer = lambda _: Reply({"message": "Protocol is not in our database"}, status=400)

    with pytest.raises(SourceRefuses):
        await source.fetch("UNI")


async def test_asset_without_a_known_treasury_is_not_asked_for(
    source: DefiLlama, server: SourceServer
) -> None:
    assert not source.covers("BTC")
    with pytest.raises(AssetUnknown):
        await source.fetch("BTC")

    assert server.questions == []
