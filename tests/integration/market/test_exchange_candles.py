"""Candles, rules and last prices of the exchanges, over HTTP, with everything that can go wrong."""

import asyncio
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from alphapulse.domain.instruments import Interval
from alphapulse.providers.budget import Pace
from alphapulse.providers.candles import CandlesUnavailable, UnknownSymbol
from alphapulse.providers.candles.exchange import ExchangeCandles
from tests.integration.market.conftest import NOON, Market

MINUTE = dt.timedelta(minutes=1)
CANDLE_PATHS = {"binance": "klines", "coinbase": "/candles", "kraken": "OHLC"}
PRICE_PATHS = {"binance": "ticker", "coinbase": "/ticker", "kraken": "Ticker"}
PAGES_OF_700 = {"binance": 1, "coinbase": 2, "kraken": 1}
TICKS = {"binance": Decimal("0.01"), "coinbase": Decimal("0.01"), "kraken": Decimal("0.1")}


async def refusal_without_request(market: Market, source: ExchangeCandles) -> CandlesUnavailable:
    """Ask until the refusal comes from what Redis knows: on a busy machine a process may miss it at first."""
    async with asyncio.timeout(6):
        while True:
            before = len(market.simulator.requests)
            try:
                await source.candles(market.symbol, Interval.MINUTE, limit=3)
            except CandlesUnavailable as error:
                assert len(market.simulator.requests) == before
                return error
            market.now += MINUTE


async def test_bars_beyond_one_page_come_whole_closed_and_in_order(market: Market) -> None:
    source = market.source(market.symbol)

    batch = await source.candles(market.symbol, Interval.MINUTE, limit=700)

    last = NOON.replace(second=0) - MINUTE
    assert [bar.open_time for bar in batch.candles] == [last - n * MINUTE for n in range(699, -1, -1)]
    assert (batch.source, batch.gaps) == (market.name, ())
    expected = market.simulator.book.bar(market.symbol, Interval.MINUTE, int(last.timestamp()))
    newest = batch.candles[-1]
    assert [newest.open, newest.high, newest.low, newest.close, newest.volume] == [
        Decimal(figure) for figure in expected[1:]
    ]
    assert market.asked(CANDLE_PATHS[market.name]) == PAGES_OF_700[market.name]


@pytest.mark.parametrize("interval", list(Interval))
async def test_every_interval_gives_bars_of_its_length(market: Market, interval: Interval) -> None:
    source = market.source(market.symbol)

    batch = await source.candles(market.symbol, interval, limit=3)

    assert len(batch.candles) == 3
    assert batch.candles[-1].open_time == interval.open_of(NOON) - dt.timedelta(seconds=interval.seconds)


async def test_bars_up_to_an_earlier_moment_end_there(market: Market) -> None:
    source = market.source(market.symbol)
    until = NOON - dt.timedelta(hours=2)

    batch = await source.candles(market.symbol, Interval.MINUTE, limit=5, until=until)

    assert batch.candles[-1].open_time == until.replace(second=0) - MINUTE
    assert len(batch.candles) == 5


async def test_minutes_without_a_trade_are_a_gap(market: Market) -> None:
    quiet = NOON.replace(second=0) - 5 * MINUTE
    market.simulator.book.missing = {(market.symbol, Interval.MINUTE, at) for at in (quiet, quiet + MINUTE)}

    batch = await market.source(market.symbol).candles(market.symbol, Interval.MINUTE, limit=10)

    assert len(batch.candles) == 8
    assert [(gap.first_missing, gap.count) for gap in batch.gaps] == [(quiet, 2)]


async def test_a_bar_that_contradicts_itself_is_left_out(market: Market) -> None:
    strange = NOON.replace(second=0) - 3 * MINUTE
    market.simulator.book.closes = {(market.symbol, Interval.MINUTE, strange): "9999999"}

    batch = await market.source(market.symbol).candles(market.symbol, Interval.MINUTE, limit=10)

    assert [gap.first_missing for gap in batch.gaps] == [strange]


async def test_the_same_bars_are_asked_for_once_until_the_next_has_closed(market: Market) -> None:
    source = market.source(market.symbol)
    asked = CANDLE_PATHS[market.name]

    await asyncio.gather(
        *(source.candles(market.symbol, Interval.MINUTE, limit=60 - n % 2) for n in range(20))
    )
    once = market.asked(asked)
    market.now += MINUTE
    batch = await source.candles(market.symbol, Interval.MINUTE, limit=60)

    assert (once, market.asked(asked)) == (1, 2)
    assert batch.candles[-1].open_time == market.now.replace(second=0) - MINUTE


async def test_instruments_have_the_rules_of_the_exchange(market: Market) -> None:
    [listing] = await market.source(market.symbol).instruments()

    rules = listing.instrument
    assert (rules.symbol, rules.tick) == (market.symbol, TICKS[market.name])
    assert rules.lot > 0
    assert rules.min_notional > 0
    assert listing.intervals == tuple(Interval)


async def test_without_a_choice_the_ten_best_known_are_served(market: Market) -> None:
    market.simulator.book.symbols.discard(f"BNB-{market.quote}")
    market.simulator.book.halted.add(f"XRP-{market.quote}")

    listings = await market.source().instruments()

    bases = {listing.instrument.base for listing in listings}
    assert bases == {"BTC", "ETH", "SOL", "DOGE", "ADA", "AVAX", "LINK", "LTC", "DOT", "BCH"}


async def test_a_symbol_the_exchange_does_not_know_does_not_hide_the_others(market: Market) -> None:
    source = market.source(f"NOPE-{market.quote}", market.symbol, f"ETH-{market.quote}")

    listings = await source.instruments()

    assert [listing.instrument.symbol for listing in listings] == [market.symbol, f"ETH-{market.quote}"]


async def test_names_nobody_chose_cost_no_request(market: Market) -> None:
    source = market.source(market.symbol)
    await source.instruments()
    before = len(market.simulator.requests)

    for symbol in ("ETH-USD", "AAA-BBB"):
        with pytest.raises(UnknownSymbol):
            await source.ticker(symbol, NOON)
        with pytest.raises(UnknownSymbol):
            await source.candles(symbol, Interval.MINUTE)

    assert len(market.simulator.requests) == before


async def test_last_price_has_bid_ask_and_the_moment_it_was_true(market: Market) -> None:
    ticker = await market.source(market.symbol).ticker(market.symbol, NOON)

    cents = market.simulator.book.price(market.symbol)
    assert [ticker.price * 100, ticker.bid * 100, ticker.ask * 100] == [cents, cents - 1, cents + 1]
    assert ticker.source == market.name
    assert dt.timedelta(0) <= NOON - ticker.as_of <= dt.timedelta(seconds=2)


async def test_prices_are_asked_for_once_for_all_coroutines_and_processes(market: Market) -> None:
    processes = [market.source(market.symbol) for _ in range(3)]
    for process in processes:
        await process.instruments()

    await asyncio.gather(*(process.ticker(market.symbol, NOON) for process in processes * 30))

    assert market.asked(PRICE_PATHS[market.name]) == 1
    market.now += dt.timedelta(seconds=6)
    await processes[0].ticker(market.symbol, market.now)
    assert market.asked(PRICE_PATHS[market.name]) == 2


async def test_a_symbol_delisted_meanwhile_takes_no_price_from_the_others(market: Market) -> None:
    symbols = [f"{base}-{market.quote}" for base in ("ADA", "BTC", "ETH", "SOL")]
    source = market.source(*symbols)
    await source.instruments()
    market.simulator.book.symbols.discard(symbols[2])

    for symbol in (symbols[0], symbols[1], symbols[3]):
        assert (await source.ticker(symbol, NOON)).price > 0
    with pytest.raises(CandlesUnavailable, match=f"no last price of {symbols[2]}"):
        await source.ticker(symbols[2], NOON)


async def test_a_name_that_does_not_exist_is_looked_for_once_an_hour(market: Market) -> None:
    source = market.source(f"NOPE-{market.quote}", market.symbol)
    await source.instruments()
    before = len(market.simulator.requests)
    market.now += dt.timedelta(seconds=301)

    await source.instruments()

    assert len(market.simulator.requests) == before + 1


async def test_a_symbol_that_pauses_is_back_as_soon_as_it_trades(market: Market) -> None:
    source = market.source(market.symbol, f"ETH-{market.quote}")
    book = market.simulator.book
    book.symbols.discard(market.symbol)
    book.halted.add(market.symbol)
    paused = await source.instruments()
    book.symbols.add(market.symbol)
    book.halted.discard(market.symbol)
    market.now += dt.timedelta(seconds=301)

    resumed = await source.instruments()

    assert [len(paused), len(resumed)] == [1, 2]


async def test_without_redis_prices_and_bars_still_come(market: Market) -> None:
    source = market.source(market.symbol, with_redis=False)

    assert (await source.ticker(market.symbol, NOON)).price > 0
    assert len((await source.candles(market.symbol, Interval.HOUR, limit=5)).candles) == 5


@pytest.mark.parametrize(
    "body",
    [
        {"unexpected": ["secret-looking text"]},
        [],
        [["not", "a", "bar"]],
        {"error": [], "result": {"XXBTZUSD": [[1, 2]], "last": "soon"}},
        {"candles": [{"start": "1767225600"}]},
        {"symbols": [{"status": "TRADING"}]},
        None,
        b"<html>maintenance</html>",
    ],
)
async def test_an_answer_of_another_shape_is_an_error_that_shows_none_of_it(
    market: Market, body: Any
) -> None:
    source = market.source(market.symbol)
    await source.instruments()
    market.simulator.fail_next = [(200, body)]

    if market.name == "binance" and body == []:
        # No bars at all is what Binance answers of a time before the first trade.
        assert (await source.candles(market.symbol, Interval.MINUTE, limit=3)).candles == ()
        return
    with pytest.raises(CandlesUnavailable) as failed:
        await source.candles(market.symbol, Interval.MINUTE, limit=3)

    assert market.name in str(failed.value)
    assert "secret" not in str(failed.value)
    assert "html" not in str(failed.value)


async def test_prices_of_another_shape_are_no_prices(market: Market) -> None:
    source = market.source(market.symbol)
    await source.instruments()
    market.simulator.fail_next = [(200, {"error": [], "result": {"XXBTZUSD": {"c": [1.5]}}, "trades": [{}]})]

    with pytest.raises(CandlesUnavailable, match="another shape than documented"):
        await source.ticker(market.symbol, NOON)


@pytest.mark.parametrize("status", [429, 418])
async def test_too_many_requests_keep_all_processes_away_for_as_long_as_was_asked(
    market: Market, status: int
) -> None:
    first, second = market.source(market.symbol), market.source(market.symbol)
    await first.instruments()
    market.simulator.fail_next = [status]

    with pytest.raises(CandlesUnavailable) as refused:
        await first.candles(market.symbol, Interval.MINUTE, limit=3)
    kept_away = await refusal_without_request(market, second)

    assert refused.value.busy
    assert kept_away.busy
    assert "takes no more requests for 7 s" in str(refused.value)


async def test_more_than_the_budget_is_refused_before_the_exchange_sees_it(market: Market) -> None:
    pace = Pace(per_minute=6, burst=3)
    processes = [market.source(market.symbol, pace=pace) for _ in range(2)]

    outcomes = await asyncio.gather(
        *(
            processes[n % 2].between(market.symbol, interval, first=NOON - 9 * MINUTE, last=NOON)
            for n, interval in enumerate(Interval)
        ),
        return_exceptions=True,
    )

    assert len(market.simulator.requests) == 3
    assert all(
        isinstance(one, tuple) or (isinstance(one, CandlesUnavailable) and one.busy) for one in outcomes
    )


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_an_exchange_that_fails_is_unavailable_and_answers_again_afterwards(
    market: Market, status: int
) -> None:
    source = market.source(market.symbol)
    await source.instruments()
    market.simulator.fail_next = [(status, b"down")]

    with pytest.raises(CandlesUnavailable, match=market.name):
        await source.candles(market.symbol, Interval.HOUR, limit=3)


async def test_a_silent_exchange_is_given_up_at_the_deadline(market: Market) -> None:
    source = market.source(market.symbol, deadline_seconds=0.3)
    await source.instruments()
    market.simulator.hang = True
    loop = asyncio.get_running_loop()
    began = loop.time()

    with pytest.raises(CandlesUnavailable, match="does not answer"):
        await source.ticker(market.symbol, NOON)
    with pytest.raises(CandlesUnavailable, match="does not answer"):
        await source.ticker(market.symbol, NOON)

    # The second one knows it from the first.
    assert loop.time() - began < 0.6


async def test_an_exchange_that_is_not_there_is_unavailable(market: Market) -> None:
    source = market.source(market.symbol)
    await market.simulator.stop()

    with pytest.raises(CandlesUnavailable, match="does not answer"):
        await source.instruments()


@pytest.mark.parametrize(
    ("error", "busy"),
    [
        ("EAPI:Rate limit exceeded", True),
        ("EGeneral:Too many requests", True),
        ("EService:Unavailable", False),
    ],
)
async def test_kraken_says_within_a_good_answer_that_it_is_not(
    open_market: Any, error: str, busy: bool
) -> None:
    market = await open_market("kraken")
    source = market.source("BTC-USD")
    await source.instruments()
    market.simulator.fail_next = [(200, {"error": [error]})]

    with pytest.raises(CandlesUnavailable) as failed:
        await source.candles("BTC-USD", Interval.MINUTE, limit=3)

    assert failed.value.busy is busy


async def test_kraken_gives_its_newest_719_bars_however_many_are_wanted(open_market: Any) -> None:
    market = await open_market("kraken")

    batch = await market.source("DOGE-USD").candles("DOGE-USD", Interval.MINUTE, limit=5000)

    assert len(batch.candles) == 719
    assert market.asked("OHLC") == 1


async def test_a_running_bar_is_not_taken_for_a_closed_one_when_our_clock_is_ahead(open_market: Any) -> None:
    market = await open_market("kraken")
    source = market.source("BTC-USD")
    market.simulator.book.now = lambda: market.now - MINUTE

    batch = await source.candles("BTC-USD", Interval.MINUTE, limit=3)

    assert batch.candles[-1].open_time == NOON.replace(second=0) - 2 * MINUTE
