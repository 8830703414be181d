"""What happens in the demonstration, step by step."""

import time
from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any

from alphapulse_local.demo.pages import Pages
from alphapulse_local.demo.trader import DemoFailed, Trader

_PAR_QUOTES = ("USD", "USDT", "USDC")
_DATA_SECONDS = 60
_SIGNAL_SECONDS = 60
_STAKE_USD = Decimal(10_000)
_BACKTEST_SECONDS = 300
_AGENTS = ("technical", "fundamental", "sentiment", "value", "activist", "buffett")


def tell(url: str, pages: Pages) -> None:
    """Run the whole story against a platform.

    Raises
    ------
    DemoFailed
        A step did not happen as promised.
    """
    timings: list[tuple[str, float]] = []
    first, second = Trader(url, "Aurora", timings), Trader(url, "Borealis", timings)
    try:
        pages.chapter("Two tenants sign up")
        for trader in (first, second):
            provisioned = trader.sign_up(tier="pro")
            pages.tenant(trader.tenant)
            pages.provisioning(provisioned["steps"])
        symbol, interval = _choose(first, pages)
        pages.chapter(f"{first.company} asks for signals on {symbol}")
        run_id = _ask_for_signals(first, symbol, interval, pages)
        pages.chapter("The technical agent over the past")
        _look_back(first, symbol, interval, pages)
        pages.chapter(f"{first.company} trades")
        trade_ids = _trade(first, symbol, pages)
        pages.chapter("Positions, profit and loss")
        _look_at_the_books(first, symbol, pages)
        pages.chapter(f"{second.company} sees nothing of {first.company}")
        _prove_isolation(second, symbol, run_id, trade_ids, pages)
        pages.chapter("Timings")
        pages.timings(timings)
    finally:
        first.close()
        second.close()


def _choose(trader: Trader, pages: Pages) -> tuple[str, str]:
    """Return an instrument that can be bought with US dollars, and an interval it has candles for."""
    listed = trader.wait_for(
        "market data loaded", "/market/instruments", lambda a: bool(_tradable(a)), seconds=_DATA_SECONDS
    )
    for instrument in _tradable(listed):
        for interval in ("1d", "1h", "5m", "1m"):
            path = f"/market/{instrument['symbol']}/candles?interval={interval}&limit=500"
            candles = trader.get(path)
            if candles["items"]:
                pages.market(trader.get(f"/market/{instrument['symbol']}/ticker"), candles)
                return instrument["symbol"], interval
    raise DemoFailed("no instrument that can be bought with US dollars has candles")


def _tradable(listed: dict[str, Any]) -> list[dict[str, Any]]:
    found = [item for item in listed["items"] if item["quote"] in _PAR_QUOTES]
    return sorted(found, key=lambda item: (item["base"] != "BTC", item["symbol"]))


def _ask_for_signals(trader: Trader, symbol: str, interval: str, pages: Pages) -> str:
    parameters = {"agent": "technical", "parameters": {"interval": interval}}
    trader.post("/agents/config", {"agents": [parameters]}, expect=200)
    started = time.perf_counter()
    run = trader.post("/agents/run", {"symbols": [symbol]}, expect=202)
    done = trader.wait_for(
        "request to consensus",
        f"/agents/runs/{run['run_id']}",
        lambda answer: answer["status"] != "running",
        seconds=_SIGNAL_SECONDS,
    )
    if done["status"] != "done":
        raise DemoFailed(f"the run ended as {done['status']}: {done}")
    pages.note(f"run finished after {time.perf_counter() - started:.2f} s")
    signals = _of_run(trader.get("/agents/signals", symbol=symbol)["items"], run["run_id"])
    if not signals:
        raise DemoFailed("the run left no signal")
    for signal in sorted(signals, key=lambda found: _AGENTS.index(found["agent"])):
        pages.signal(signal)
    consensus = _of_run(_items(trader.get("/agents/consensus", symbol=symbol)), run["run_id"])
    if len(consensus) != 1:
        raise DemoFailed(f"expected one consensus of the run, found {len(consensus)}")
    pages.consensus(consensus[0])
    run_id: str = run["run_id"]
    replay = trader.post(f"/agents/runs/{run_id}/replay", {}, expect=200)
    if not replay["identical"]:
        raise DemoFailed(f"the replay of the run differs: {replay}")
    pages.note("replayed from what was kept: every signal and the consensus come out the same")
    return run_id


def _look_back(trader: Trader, symbol: str, interval: str, pages: Pages) -> None:
    asked = {"symbol": symbol, "interval": interval, "agent": "technical"}
    accepted = trader.post("/agents/backtests", asked, expect=202)
    done = trader.wait_for(
        "request to backtest",
        f"/agents/backtests/{accepted['run_id']}",
        lambda answer: answer["status"] not in ("waiting", "running"),
        seconds=_BACKTEST_SECONDS,
    )
    if done["status"] != "done":
        raise DemoFailed(f"the backtest ended as {done['status']}: {done['reason']}")
    pages.backtest(done["headline"], done["picture_url"])


def _trade(trader: Trader, symbol: str, pages: Pages) -> list[str]:
    ticker = trader.get(f"/market/{symbol}/ticker")
    price = Decimal(ticker["price"])
    quantity = (_STAKE_USD / price).quantize(Decimal("0.001"), ROUND_DOWN)
    buy = {"symbol": symbol, "side": "buy", "type": "market", "quantity": f"{quantity:f}"}
    bought = trader.post("/trades", buy, expect=201, key="demo-buy")
    again = trader.post("/trades", buy, expect=201, key="demo-buy")
    if bought["status"] != "filled" or again["id"] != bought["id"]:
        raise DemoFailed(f"expected one filled order, got {bought} and {again}")
    pages.note("the same request again, same Idempotency-Key: the same order, not a second one")
    limit = (price * Decimal("1.5")).quantize(Decimal(1))
    half = (quantity / 2).quantize(Decimal("0.001"), ROUND_DOWN)
    resting = trader.post(
        "/trades",
        {"symbol": symbol, "side": "sell", "type": "limit", "quantity": f"{half:f}", "price": f"{limit:f}"},
        expect=201,
    )
    sold = trader.post(
        "/trades",
        {"symbol": symbol, "side": "sell", "type": "market", "quantity": f"{half:f}"},
        expect=201,
    )
    if (resting["status"], sold["status"]) != ("open", "filled"):
        raise DemoFailed(f"expected an open and a filled order, got {resting} and {sold}")
    pages.trades(trader.get("/trades")["items"])
    return [bought["id"], resting["id"], sold["id"]]


def _look_at_the_books(trader: Trader, symbol: str, pages: Pages) -> None:
    portfolio = trader.get("/portfolio")
    held = [position for position in portfolio["positions"] if position["symbol"] == symbol]
    if len(held) != 1 or Decimal(held[0]["quantity"]) <= 0:
        raise DemoFailed(f"expected one position in {symbol}, found {portfolio['positions']}")
    history = trader.wait_for(
        "trade to portfolio history",
        "/portfolio/history?interval=1m",
        lambda answer: len(answer["items"]) > 0,
        seconds=_SIGNAL_SECONDS,
    )
    pages.portfolio(portfolio, history["items"])


def _prove_isolation(other: Trader, symbol: str, run_id: str, trade_ids: Sequence[str], pages: Pages) -> None:
    paths = [f"/agents/runs/{run_id}", f"/positions/{symbol}", *(f"/trades/{id_}" for id_ in trade_ids)]
    for path in paths:
        status = other.status_of(path)
        if status != 404:  # noqa: PLR2004 - not 403: another tenant's things do not exist
            raise DemoFailed(f"{other.company} got {status} for {path}")
        pages.proof(f"GET {path}", "404")
    for path in ("/trades", "/positions", "/agents/signals", "/agents/runs"):
        items = _items(other.get(path))
        if items:
            raise DemoFailed(f"{other.company} sees {items} under {path}")
        pages.proof(f"GET {path}", "empty")
    equity = other.get("/portfolio")["equity"]
    if Decimal(equity) != Decimal(100_000):
        raise DemoFailed(f"{other.company}'s equity is {equity}")
    pages.proof("GET /portfolio", f"untouched: {equity} USD")


def _items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answer["items"]
    return items


def _of_run(items: list[dict[str, Any]], run_id: str) -> list[dict[str, Any]]:
    return [item for item in items if item["run_id"] == run_id]
