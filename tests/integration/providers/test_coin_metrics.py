"""Coin Metrics: answers as documented, and every way in which they may be less than that."""

import datetime as dt
from typing import Any

import numpy as np
import pytest

from alphapulse.providers.errors import AnswerMalformed, AssetUnknown, SourceDown, SourceRefuses
from alphapulse.providers.on_chain.coin_metrics import CoinMetrics
from alphapulse.providers.source import ProviderOptions, SourceContext, SourceKind
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers.answers import DAYS, FIRST_DAY, coin_metrics, coin_metrics_rows
from tests.integration.providers.conftest import NOW, Clock
from tests.source_server import Question, Reply, SourceServer


@pytest.fixture
def source(context: SourceContext, server: SourceServer) -> CoinMetrics:
    server.answer = coin_metrics
    return CoinMetrics(context)


def answer_rows(server: SourceServer, rows: Any) -> None:
    server.answer = lambda _: {"data": rows}


async def test_a_good_answer_becomes_daily_series(source: CoinMetrics, server: SourceServer) -> None:
    found = await source.fetch("ETH")

    (question,) = server.questions
    assert question.path == "/v4/timeseries/asset-metrics"
    assert question.parameters["assets"] == "eth"
    assert question.parameters["frequency"] == "1d"
    assert question.parameters["start_time"] == "2020-06-14"
    price = found["price_usd"]
    assert (price.source, price.retrieved_at) == ("coin_metrics", NOW)
    assert price.days == tuple(FIRST_DAY + dt.timedelta(days=n) for n in range(DAYS))
    assert price.values[0] == 80_000.0340292227
    assert price.as_of == dt.datetime(2026, 6, 15, tzinfo=dt.UTC)
    assert found["active_addresses"].values.tolist() == [700_000.0 + n for n in range(DAYS)]
    assert not price.values.flags.writeable


async def test_what_the_community_data_leaves_out_follows_from_what_is_in_it(source: CoinMetrics) -> None:
    found = await source.fetch("BTC")

    np.testing.assert_allclose(
        found["realised_cap_usd"].values, found["market_cap_usd"].values / 1.6, rtol=1e-12
    )
    np.testing.assert_allclose(found["fees_usd"].values, 10.5 * found["price_usd"].values, rtol=1e-12)
    assert "transfer_volume_usd" not in found
    assert "fees_native" not in found


async def test_what_the_source_gives_itself_is_not_derived(source: CoinMetrics, server: SourceServer) -> None:
    paid = {"CapRealUSD": "9e11", "FeeTotUSD": "123456.5", "TxTfrValAdjUSD": "5e9"}
    answer_rows(server, [row | paid for row in coin_metrics_rows()])

    found = await source.fetch("BTC")

    assert found["realised_cap_usd"].values[0] == 9e11
    assert found["fees_usd"].values[0] == 123_456.5
    assert found["transfer_volume_usd"].values[0] == 5e9


async def test_null_nan_and_impossible_values_become_holes(source: CoinMetrics, server: SourceServer) -> None:
    rows = coin_metrics_rows()
    for row, value in zip(rows, [None, "NaN", "Infinity", "-1", -2.5], strict=False):
        row["AdrActCnt"] = value
    answer_rows(server, rows)

    values = (await source.fetch("BTC"))["active_addresses"].values

    assert np.isnan(values[:5]).all()
    assert np.isfinite(values[5:]).all()


async def test_missing_days_and_metrics_stay_missing(source: CoinMetrics, server: SourceServer) -> None:
    rows = coin_metrics_rows()
    del rows[3:6]
    for row in rows:
        del row["HashRate"]
    del rows[0]["TxCnt"]
    answer_rows(server, rows)

    found = await source.fetch("BTC")

    assert len(found["price_usd"]) == DAYS - 3
    assert len(found["transactions"]) == DAYS - 4
    assert "hash_rate" not in found


async def test_the_day_that_has_not_ended_is_left_out(source: CoinMetrics, server: SourceServer) -> None:
    answer_rows(server, coin_metrics_rows(days=15))

    assert (await source.fetch("BTC"))["price_usd"].days[-1] == dt.date(2026, 6, 14)


async def test_rows_in_any_order_with_repetitions_give_each_day_once(
    source: CoinMetrics, server: SourceServer
) -> None:
    rows = coin_metrics_rows()
    corrected = rows[4] | {"PriceUSD": "1.5"}
    answer_rows(server, [*reversed(rows), corrected])

    price = (await source.fetch("BTC"))["price_usd"]

    assert price.days == tuple(sorted(price.days))
    assert len(price) == DAYS
    assert price.values[4] == 1.5


async def test_pages_are_followed_to_the_last(source: CoinMetrics, server: SourceServer) -> None:
    rows = coin_metrics_rows()
    pages = {None: (rows[:5], "p.2"), "p.2": (rows[5:10], "p.3"), "p.3": (rows[10:], None)}

    def answer(question: Question) -> Any:
        page, following = pages[question.parameters.get("next_page_token")]
        url = {"next_page_url": "https://elsewhere.example/"}
        return {"data": page} | ({} if following is None else {"next_page_token": following} | url)

    server.answer = answer

    assert len((await source.fetch("BTC"))["price_usd"]) == DAYS
    assert len(server.questions) == 3
    assert len({question.parameters["metrics"] for question in server.questions}) == 1


async def test_pages_without_end_are_not_followed_for_ever(source: CoinMetrics, server: SourceServer) -> None:
    server.answer = lambda _: {"data": coin_metrics_rows(), "next_page_token": "again"}

    with pytest.raises(AnswerMalformed, match="more than 5 pages"):
        await source.fetch("BTC")

    assert len(server.questions) == 5


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"rows": []},
        {"data": None},
        {"data": "x"},
        {"data": {"btc": []}},
        {"data": [1]},
        {"data": [{"asset": "btc"}]},
        {"data": [{"time": None, "PriceUSD": "1"}]},
        {"data": [{"time": "yesterday", "PriceUSD": "1"}]},
        {"data": [{"time": "2026-06-01T00:00:00Z", "PriceUSD": {"value": 1}}]},
        {"data": [{"time": "2026-06-01T00:00:00Z", "PriceUSD": "expensive"}]},
        {"data": [{"time": "2026-06-01T00:00:00Z", "PriceUSD": True}]},
        {"data": [{"time": "2026-06-01T00:00:00Z", "Price": "1"}]},
        {"data": [{"time": "2026-06-01T00:00:00Z", "PriceUSD": "1"}], "next_page_token": 7},
    ],
)
async def test_another_shape_than_documented_is_malformed(
    source: CoinMetrics, server: SourceServer, document: Any
) -> None:
    server.answer = lambda _: document

    with pytest.raises(AnswerMalformed, match="coin_metrics answered"):
        await source.fetch("BTC")


async def test_an_asset_without_figures_is_unknown(source: CoinMetrics, server: SourceServer) -> None:
    answer_rows(server, [])

    with pytest.raises(AssetUnknown, match="no figures of BTC"):
        await source.fetch("BTC")


async def test_an_asset_that_is_not_in_the_list_is_not_asked_for(
    source: CoinMetrics, server: SourceServer
) -> None:
    assert not source.covers("NOPE")
    with pytest.raises(AssetUnknown):
        await source.fetch("NOPE")

    assert server.questions == []


async def test_a_key_travels_with_every_page_and_is_in_no_error(server: SourceServer, clock: Clock) -> None:
    options = ProviderOptions(
        kind=SourceKind.LIVE, addresses={"coin_metrics": server.url}, keys={"coin_metrics": "licence-1234"}
    )
    context = SourceContext(options, CacheConnection(None), clock=clock)
    server.answer = lambda _: {"data": coin_metrics_rows(), "next_page_token": "again"}

    with pytest.raises(AnswerMalformed) as caught:
        await CoinMetrics(context).fetch("BTC")

    assert [question.parameters["api_key"] for question in server.questions] == ["licence-1234"] * 5
    assert "licence" not in f"{caught.value}{options}"
    await context.close()


async def test_without_a_key_none_is_sent(source: CoinMetrics, server: SourceServer) -> None:
    await source.fetch("BTC")

    assert "api_key" not in server.questions[0].parameters


async def test_refusals_and_failures_are_told_apart(source: CoinMetrics, server: SourceServer) -> None:
    error = {"error": {"type": "forbidden", "message": "Requested metric 'CapRealUSD' is not available"}}
    server.answer = lambda _: Reply(error, status=403)
    with pytest.raises(SourceRefuses):
        await source.fetch("BTC")

    server.answer = lambda _: Reply(error, status=502)
    with pytest.raises(SourceDown):
        await source.fetch("BTC")
