"""Answers in the shape that the sources' documentation describes."""

import datetime as dt
from typing import Any

from tests.source_server import Question, Reply

FIRST_DAY = dt.date(2026, 6, 1)
DAYS = 14


def coin_metrics_rows(asset: str = "btc", days: int = DAYS) -> list[dict[str, Any]]:
    """Rows of `/v4/timeseries/asset-metrics` with community metrics."""
    return [
        {
            "asset": asset,
            "time": f"{FIRST_DAY + dt.timedelta(days=n)}T00:00:00.000000000Z",
            "AdrActCnt": str(700_000 + n),
            "CapMVRVCur": "1.6",
            "CapMrktCurUSD": f"{1.6e12 + n * 1e9:.2f}",
            "FeeTotNtv": "10.5",
            "HashRate": "912345678.123456789012",
            "PriceUSD": f"{80_000 + n}.0340292227",
            "SplyCur": "19950000.12345678",
            "TxCnt": str(400_000 + n),
        }
        for n in range(days)
    ]


def coin_metrics(question: Question) -> Any:
    """The answer for the asset that is asked for."""
    return {"data": coin_metrics_rows(question.parameters["assets"])}


def chart(values: list[tuple[int, Any]], name: str = "Market Price (USD)") -> dict[str, Any]:
    """An answer of `/charts/<name>`."""
    points = [{"x": x, "y": y} for x, y in values]
    return {"status": "ok", "name": name, "unit": "USD", "period": "day", "description": "", "values": points}


def midnight(day: dt.date) -> int:
    """Seconds since 1970."""
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())


def blockchain_com(question: Question) -> Any:
    """The chart that is asked for."""
    base = {
        "market-price": 80_100.5,
        "market-cap": 1.6e12,
        "mvrv": 1.6,
        "estimated-transaction-volume-usd": 9.5e9,
        "n-unique-addresses": 510_000,
        "n-transactions": 401_000,
        "transaction-fees-usd": 8.5e5,
        "total-bitcoins": 19_950_000.0,
        "hash-rate": 9.1e8,
    }[question.path.removeprefix("/charts/")]
    days = [FIRST_DAY + dt.timedelta(days=n) for n in range(DAYS)]
    return chart([(midnight(day), base * (1 + n / 1000)) for n, day in enumerate(days)])


def coin(coin_id: str = "bitcoin", **changes: Any) -> dict[str, Any]:
    """One coin of `/coins/markets`."""
    return {
        "id": coin_id,
        "symbol": "btc",
        "name": "Bitcoin",
        "current_price": 80_123.5,
        "market_cap": 1_598_000_000_000,
        "market_cap_rank": 1,
        "fully_diluted_valuation": 1_682_593_500_000,
        "total_volume": 31_260_929_299,
        "circulating_supply": 19_950_000.0,
        "total_supply": 21_000_000.0,
        "max_supply": 21_000_000.0,
        "last_updated": "2026-06-15T12:29:10.123Z",
    } | changes


def holders(shares: list[Any]) -> dict[str, Any]:
    """An answer of `/getTopTokenHolders/<contract>`."""
    return {
        "holders": [
            {"address": f"0x{n:040x}", "balance": 1e24, "share": share, "rawBalance": "1"}
            for n, share in enumerate(shares)
        ]
    }


def everything(question: Question) -> Any:
    """All sources at one address."""
    if question.path.startswith("/v4/"):
        return coin_metrics(question)
    if question.path.startswith("/charts/"):
        return blockchain_com(question)
    if question.path.startswith("/api/v3/"):
        return [coin("bitcoin"), coin("uniswap", max_supply=None)]
    if question.path.startswith("/getTopTokenHolders/"):
        return holders([5.0] * 10 + [0.3] * 90)
    return Reply(status=404, body={})
