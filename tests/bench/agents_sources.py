"""Stand-ins for the services that agents' figures come from, with answers in their documented shapes.

Every figure is a random walk of its asset that ends yesterday; posts and votes end now. The functions reach
them as they reach the services: over HTTP, with their budgets, time limits and shared cache.
"""

import asyncio
import datetime as dt
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import numpy as np

from tests.integration.providers.answers import coin, holders
from tests.integration.providers.governance.answers import vote, votes
from tests.integration.providers.social.answers import listing, submission
from tests.source_server import Question, Reply, SourceServer

#: Assets all of whose figures these services have; half of them are governed by votes.
ASSETS: Final = ("BTC", "ETH", "XRP", "LTC", "LINK", "UNI", "AAVE", "COMP", "MKR", "LDO")
#: Another one, which nobody asks about but to have processes started.
WARM_UP_ASSET: Final = "ADA"
_DAYS: Final = 6 * 365
_SERVICES: Final = (
    "coin_metrics",
    "blockchain_com",
    "coingecko",
    "ethplorer",
    "reddit",
    "snapshot",
    "defillama",
)
# CoinGecko's names.
_COINS: Final = (
    "bitcoin",
    "ethereum",
    "ripple",
    "litecoin",
    "chainlink",
    "uniswap",
    "aave",
    "compound-governance-token",
    "maker",
    "lido-dao",
)
_MOODS: Final = (
    "I am happy with",
    "I am worried about",
    "great news for",
    "nothing new on",
    "I lost money on",
)
_TOPICS: Final = (
    "adoption",
    "wallets",
    "upgrade",
    "fees",
    "holders",
    "miners",
    "nodes",
    "custody",
    "bridges",
    "staking",
    "liquidity",
    "lending",
    "options",
    "governance",
    "treasury",
    "airdrops",
    "listings",
    "delistings",
    "audits",
    "exploits",
    "regulation",
    "taxes",
    "research",
    "tooling",
)


class RunningSources:
    """All services at one address, in a thread of its own; a context manager."""

    def __init__(self) -> None:
        self._server = SourceServer()
        self._server.answer = answer
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    @property
    def environment(self) -> dict[str, str]:
        """What leads functions here."""
        own = {f"{service.upper()}_URL": self._server.url for service in _SERVICES}
        return {"PROVIDER_SOURCE": "live", **own}

    @property
    def questions(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(question.path for question in self._server.questions)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._server.start)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._server.stop)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, what: Callable[[], Any]) -> None:
        asyncio.run_coroutine_threadsafe(what(), self._loop).result(timeout=30)


def answer(question: Question) -> Any:
    """Answer for whichever service is asked."""
    now = dt.datetime.now(dt.UTC)
    for prefix, service in _ANSWERS.items():
        if question.path.startswith(prefix):
            return service(question, now)
    return Reply(status=404, body={})


def _walk(name: str, start: float) -> list[float]:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return [float(value) for value in start * np.exp(np.cumsum(generator.normal(0.0005, 0.03, _DAYS)))]


def _days(now: dt.datetime) -> list[dt.date]:
    return [now.date() - dt.timedelta(days=_DAYS - number) for number in range(_DAYS)]


def _network_rows(asset: str, now: dt.datetime) -> list[dict[str, str]]:
    columns = {
        "AdrActCnt": _walk(f"{asset} addresses", 500_000.0),
        "CapMVRVCur": [1.0 + 0.5 * np.sin(number / 200.0) for number in range(_DAYS)],
        "CapMrktCurUSD": _walk(f"{asset} cap", 1e10),
        "FeeTotUSD": _walk(f"{asset} fees", 1e6),
        "PriceUSD": _walk(f"{asset} price", 100.0),
        "SplyCur": [2e7 + number for number in range(_DAYS)],
        "TxCnt": [round(value) for value in _walk(f"{asset} transactions", 300_000.0)],
        "TxTfrValAdjUSD": _walk(f"{asset} volume", 5e8),
    }
    return [
        {"asset": asset, "time": f"{day}T00:00:00.000000000Z"}
        | {name: str(values[number]) for name, values in columns.items()}
        for number, day in enumerate(_days(now))
    ]


def _chart(name: str, now: dt.datetime) -> dict[str, Any]:
    midnights = [int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()) for day in _days(now)]
    points = [{"x": x, "y": y} for x, y in zip(midnights, _walk(name, 1e6), strict=True)]
    return {"status": "ok", "name": name, "unit": "USD", "period": "day", "description": "", "values": points}


def _post(number: int, now: dt.datetime) -> dict[str, Any]:
    at = (now - dt.timedelta(minutes=7 * number)).timestamp()
    generator = np.random.default_rng(number)
    subject, *others = generator.choice(_TOPICS, size=8, replace=False)
    title = f"{_MOODS[number % len(_MOODS)]} {subject}"
    return submission(number, created_utc=at, created=at, title=title, selftext=" ".join(others))


def _vote(number: int, now: dt.datetime) -> dict[str, Any]:
    ended = now - dt.timedelta(days=6 * number)
    began = ended - dt.timedelta(days=5)
    return vote(number, start=int(began.timestamp()), end=int(ended.timestamp()))


def _treasury(now: dt.datetime) -> list[dict[str, Any]]:
    midnights = [int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()) for day in _days(now)[-400:]]
    return [{"date": at, "totalLiquidityUSD": 1e8 + number * 1e5} for number, at in enumerate(midnights)]


_ANSWERS: Final[Mapping[str, Callable[[Question, dt.datetime], Any]]] = {
    "/v4/": lambda question, now: {"data": _network_rows(question.parameters["assets"], now)},
    "/charts/": lambda question, now: _chart(question.path.removeprefix("/charts/"), now),
    "/api/v3/": lambda _, now: [coin(name, last_updated=now.isoformat()[:19] + "Z") for name in _COINS],
    "/getTopTokenHolders/": lambda _question, _now: holders([5.0] * 10 + [0.3] * 90),
    "/r/": lambda _, now: listing(*(_post(number, now) for number in range(1, 101))),
    "/graphql": lambda _, now: votes(*(_vote(number, now) for number in range(1, 31))),
    "/treasury/": lambda _, now: {"chainTvls": {}, "tvl": _treasury(now)},
}
