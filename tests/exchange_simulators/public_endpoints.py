"""The public market data endpoints of the exchanges, in the shapes of their documentation."""

import datetime as dt
from typing import Any

import orjson

from alphapulse.domain.instruments import Interval
from tests.exchange_simulators.public_book import PublicBook
from tests.exchange_simulators.server import Request

Answer = tuple[int, Any]

_KRAKEN = {"BTC": "XBT", "DOGE": "XDG"}
_LEGACY = {"XBT": "XXBT", "ETH": "XETH", "LTC": "XLTC", "XRP": "XXRP", "USD": "ZUSD"}
_GRANULARITIES = {
    "ONE_MINUTE": Interval.MINUTE,
    "FIVE_MINUTE": Interval.FIVE_MINUTES,
    "FIFTEEN_MINUTE": Interval.FIFTEEN_MINUTES,
    "ONE_HOUR": Interval.HOUR,
    "FOUR_HOUR": Interval.FOUR_HOURS,
    "ONE_DAY": Interval.DAY,
}
_FAR = 4_000_000_000


def binance(book: PublicBook, request: Request) -> Answer | None:
    """Answer as Binance; None for what is not public."""
    by_name = {symbol.replace("-", ""): symbol for symbol in book.symbols | book.halted}
    asked = request.parameters
    names = orjson.loads(asked["symbols"]) if "symbols" in asked else [asked.get("symbol", "")]
    if request.path not in ("/api/v3/exchangeInfo", "/api/v3/klines", "/api/v3/ticker/24hr"):
        return (200, {}) if request.path == "/api/v3/ping" else None
    if any(name not in by_name for name in names):
        return 400, {"code": -1121, "msg": "Invalid symbol."}
    symbols = [by_name[name] for name in names]
    if request.path == "/api/v3/exchangeInfo":
        return 200, {
            "timezone": "UTC",
            "symbols": [_binance_symbol(book, symbol) for symbol in symbols],
        }
    if request.path == "/api/v3/ticker/24hr":
        return 200, [_binance_ticker(book, symbol) for symbol in symbols]
    return _binance_klines(book, symbols[0], asked)


def coinbase(book: PublicBook, request: Request) -> Answer | None:
    """Answer as Coinbase; None for what is not public."""
    base = "/api/v3/brokerage/market/products"
    if request.path == "/api/v3/brokerage/time":
        return 200, {"iso": "2026-01-01T00:00:00Z", "epochSeconds": "1767225600"}
    if request.path == base:
        wanted = [part.partition("=")[2] for part in request.query.split("&")]
        known = [symbol for symbol in wanted if symbol in book.symbols | book.halted]
        products = [_coinbase_product(book, symbol) for symbol in known]
        return 200, {"products": products, "num_products": len(products)}
    if not request.path.startswith(base):
        return None
    return _coinbase_product_data(book, request, request.path.removeprefix(base + "/"))


def kraken(book: PublicBook, request: Request) -> Answer | None:
    """Answer as Kraken; None for what is not public."""
    if not request.path.startswith("/0/public/"):
        return None
    kind = request.path.removeprefix("/0/public/")
    if kind == "Time":
        return 200, {"error": [], "result": {"unixtime": 1767225600, "rfc1123": "Thu,  1 Jan 26 00:00:00"}}
    by_name = {_short(symbol): symbol for symbol in book.symbols | book.halted}
    names = request.parameters["pair"].split(",")
    if any(name not in by_name for name in names):
        return 200, {"error": ["EQuery:Unknown asset pair"]}
    symbols = [by_name[name] for name in names]
    if kind == "AssetPairs":
        return 200, {"error": [], "result": {_long(s): _kraken_pair(book, s) for s in symbols}}
    if kind == "Ticker":
        return 200, {"error": [], "result": {_long(s): _kraken_ticker(book, s) for s in symbols}}
    interval = next(i for i in Interval if i.seconds == int(request.parameters["interval"]) * 60)
    rows = book.bars(symbols[0], interval, int(book.now().timestamp()) - 720 * interval.seconds, _FAR)[-720:]
    since = int(request.parameters["since"])
    shown = [[row[0], *row[1:5], "100.1", row[5], 17] for row in rows if row[0] > since]
    last = interval.open_of(book.now()).timestamp() - interval.seconds
    return 200, {"error": [], "result": {_long(symbols[0]): shown, "last": int(last)}}


def _binance_klines(book: PublicBook, symbol: str, asked: dict[str, str]) -> Answer:
    limit = int(asked.get("limit", "500"))
    if limit > 1000:
        return 400, {"code": -1130, "msg": "Data sent for parameter 'limit' is not valid."}
    interval = Interval.parse(asked["interval"])
    first, last = int(asked["startTime"]) // 1000, int(asked["endTime"]) // 1000
    rows = book.bars(symbol, interval, first, last)[:limit]
    return 200, [
        [
            opened * 1000,
            *figures,
            (opened + interval.seconds) * 1000 - 1,
            "1528.1",
            308,
            "6.1",
            "764.0",
            "0",
        ]
        for opened, *figures in rows
    ]


def _binance_symbol(book: PublicBook, symbol: str) -> dict[str, Any]:
    base, _, quote = symbol.partition("-")
    return {
        "symbol": base + quote,
        "status": "BREAK" if symbol in book.halted else "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "isSpotTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01",
                "maxPrice": "1000000",
                "tickSize": "0.01000000",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        ],
    }


def _binance_ticker(book: PublicBook, symbol: str) -> dict[str, Any]:
    price = book.price(symbol)
    return {
        "symbol": symbol.replace("-", ""),
        "lastPrice": f"{price / 100:.8f}",
        "bidPrice": f"{(price - 1) / 100:.8f}",
        "askPrice": f"{(price + 1) / 100:.8f}",
        "openTime": int(book.now().timestamp() * 1000) - 86_400_000,
        "closeTime": int(book.now().timestamp() * 1000) - 1500,
    }


def _coinbase_product_data(book: PublicBook, request: Request, path: str) -> Answer:
    symbol, _, kind = path.partition("/")
    if symbol not in book.symbols:
        return 404, {"error": "NOT_FOUND", "error_details": "product not found", "message": ""}
    if kind == "ticker":
        price = f"{book.price(symbol) / 100:.2f}"
        at = book.now() - dt.timedelta(seconds=2)
        trade = {"trade_id": "1", "product_id": symbol, "price": price, "size": "0.1", "side": "BUY"}
        trade["time"] = at.isoformat().replace("+00:00", "Z")
        bid, ask = f"{(book.price(symbol) - 1) / 100:.2f}", f"{(book.price(symbol) + 1) / 100:.2f}"
        return 200, {"trades": [trade], "best_bid": bid, "best_ask": ask}
    interval = _GRANULARITIES[request.parameters["granularity"]]
    first, last = int(request.parameters["start"]), int(request.parameters["end"])
    if (last - first) // interval.seconds >= 350:
        details = "number of candles requested should be less than 350"
        return 400, {"error": "INVALID_ARGUMENT", "error_details": details, "message": details}
    rows = book.bars(symbol, interval, first, last)
    names = ("start", "open", "high", "low", "close", "volume")
    return 200, {"candles": [dict(zip(names, map(str, row), strict=True)) for row in reversed(rows)]}


def _coinbase_product(book: PublicBook, symbol: str) -> dict[str, Any]:
    base, _, quote = symbol.partition("-")
    halted = symbol in book.halted
    return {
        "product_id": symbol,
        "price": f"{book.price(symbol) / 100:.2f}",
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "price_increment": "0.01",
        "quote_min_size": "1",
        "base_currency_id": base,
        "quote_currency_id": quote,
        "product_type": "SPOT",
        "status": "delisted" if halted else "online",
        "is_disabled": False,
        "trading_disabled": halted,
        "cancel_only": False,
        "view_only": False,
        "auction_mode": False,
    }


def _kraken_pair(book: PublicBook, symbol: str) -> dict[str, Any]:
    base, _, quote = symbol.partition("-")
    return {
        "altname": _short(symbol),
        "wsname": f"{_KRAKEN.get(base, base)}/{quote}",
        "base": _legacy(base),
        "quote": _legacy(quote),
        "pair_decimals": 1,
        "lot_decimals": 8,
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "cancel_only" if symbol in book.halted else "online",
    }


def _kraken_ticker(book: PublicBook, symbol: str) -> dict[str, Any]:
    price = book.price(symbol)
    return {
        "a": [f"{(price + 1) / 100:.5f}", "1", "1.000"],
        "b": [f"{(price - 1) / 100:.5f}", "1", "1.000"],
        "c": [f"{price / 100:.5f}", "0.00100000"],
        "o": f"{price / 100:.5f}",
    }


def _short(symbol: str) -> str:
    base, _, quote = symbol.partition("-")
    return _KRAKEN.get(base, base) + _KRAKEN.get(quote, quote)


def _legacy(currency: str) -> str:
    name = _KRAKEN.get(currency, currency)
    return _LEGACY.get(name, name)


def _long(symbol: str) -> str:
    base, _, quote = symbol.partition("-")
    name = _KRAKEN.get(base, base)
    return _LEGACY[name] + _legacy(quote) if name in _LEGACY else _short(symbol)
