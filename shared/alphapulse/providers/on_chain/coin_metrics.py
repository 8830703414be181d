"""Coin Metrics: daily network data; the community's without a key, all that is licensed with one.

``GET /v4/timeseries/asset-metrics`` answers ``{"data": [{"asset", "time", "<metric>": "1.5"}, ...],
"next_page_token"}``: figures as text, absent or null where there is none, at most 10,000 rows a page, at
most 10 requests in 6 seconds for an address. Metrics outside the community data (403 otherwise) are left out
of the answer on demand, so that everything of use is asked for and what comes is taken. Realised value is
outside; it follows from market value and MVRV, which are inside. The community data are not for commercial
use (CC BY-NC 4.0). A key, which travels in the query, opens the same API at another host, with more data.

References
----------
Coin Metrics, API v4, https://docs.coinmetrics.io/access-our-data/api
"""

import asyncio
import datetime as dt
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from alphapulse.domain.agents.evidence import DailySeries
from alphapulse.providers.assets import ids_of
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AnswerMalformed, AssetUnknown
from alphapulse.providers.on_chain import figures
from alphapulse.providers.source import SourceContext
from alphapulse.providers.transport import reading

NAME: Final = "coin_metrics"
ADDRESS: Final = "https://community-api.coinmetrics.io"
LICENSED_ADDRESS: Final = "https://api.coinmetrics.io"
#: 4 at once and one a second stay below 10 in any 6 seconds.
PACE: Final = Pace(per_minute=60, burst=4)
#: Far below 6,000 in 20 seconds, of which at most 10 at once.
LICENSED_PACE: Final = Pace(per_minute=600, burst=10)

_PATH: Final = "/v4/timeseries/asset-metrics"
_PAGE_ROWS: Final = 10_000
_MOST_PAGES: Final = 5
_LONGEST_TOKEN: Final = 1_000
_FEES_NATIVE: Final = "fees_native"
_METRICS: Final = {
    "PriceUSD": figures.PRICE,
    "CapMrktCurUSD": figures.MARKET_CAP,
    "CapMVRVCur": figures.MVRV,
    "CapRealUSD": figures.REALISED_CAP,
    "TxTfrValAdjUSD": figures.TRANSFER_VOLUME,
    "AdrActCnt": figures.ACTIVE_ADDRESSES,
    "TxCnt": figures.TRANSACTIONS,
    "FeeTotUSD": figures.FEES,
    "FeeTotNtv": _FEES_NATIVE,
    "SplyCur": figures.SUPPLY,
    "HashRate": figures.HASH_RATE,
}


class CoinMetrics:
    """Daily network data of many assets.

    Parameters
    ----------
    context
        Gives the client, the time, and the key if there is one.
    """

    name = NAME

    def __init__(self, context: SourceContext) -> None:
        key = context.key_of(NAME)
        self._access = {} if key is None else {"api_key": key}
        self._client = context.client(
            NAME,
            ADDRESS if key is None else LICENSED_ADDRESS,
            pace=PACE if key is None else LICENSED_PACE,
        )
        self._clock = context.clock

    def covers(self, asset: str) -> bool:
        """Tell whether Coin Metrics' name of an asset is known."""
        return ids_of(asset).coin_metrics is not None

    async def fetch(self, asset: str) -> Mapping[str, DailySeries]:
        """Return the series there are of an asset.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
            There are none.
        """
        theirs = ids_of(asset).coin_metrics
        if theirs is None:
            raise AssetUnknown(f"{NAME} has nothing about {asset}")
        now = self._clock()
        rows = await self._rows(theirs, start=now.date() - dt.timedelta(days=figures.HISTORY_DAYS))
        if not rows:
            raise AssetUnknown(f"{NAME} has no figures of {asset}")
        with reading(NAME, f"the figures of {asset}"):
            # Years of rows would hold up everything else of the process.
            found = await asyncio.to_thread(_figures, rows)
        if not found:
            raise AnswerMalformed(f"{NAME} answered none of the figures of {asset} that were asked for")
        return figures.series_of(_derived(found), source=NAME, now=now)

    async def _rows(self, asset: str, *, start: dt.date) -> list[Any]:
        rows: list[Any] = []
        token: str | None = None
        for _ in range(_MOST_PAGES):
            answer = await self._client.get(_PATH, _question(asset, start, token) | self._access)
            with reading(NAME, "a page"):
                rows += _list_of(answer["data"])
                token = answer.get("next_page_token")
                if token is None:
                    return rows
                if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
                    raise TypeError("the token of the next page must be a text")
        raise AnswerMalformed(f"{NAME} answered more than {_MOST_PAGES} pages")


def _question(asset: str, start: dt.date, token: str | None) -> dict[str, str]:
    question = {
        "assets": asset,
        "metrics": ",".join(_METRICS),
        "frequency": "1d",
        "start_time": start.isoformat(),
        "page_size": str(_PAGE_ROWS),
        "paging_from": "start",
        "ignore_forbidden_errors": "true",
        "ignore_unsupported_errors": "true",
    }
    return question if token is None else {**question, "next_page_token": token}


def _list_of(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"rows must be a list, were {type(value).__name__}")
    return value


def _figures(rows: Sequence[Any]) -> dict[str, dict[dt.date, float]]:
    """Return the figures by name and day; of rows for one day the last one counts."""
    found: dict[str, dict[dt.date, float]] = defaultdict(dict)
    for row in rows:
        day = dt.date.fromisoformat(row["time"][:10])
        for metric, name in _METRICS.items():
            if metric in row:
                found[name][day] = figures.figure_of(row[metric])
    return dict(found)


def _derived(found: Mapping[str, Mapping[dt.date, float]]) -> figures.ByDay:
    """Put what follows from other figures in the place of what the community data leaves out."""
    known = {name: by_day for name, by_day in found.items() if name != _FEES_NATIVE}
    market_cap, mvrv = known.get(figures.MARKET_CAP, {}), known.get(figures.MVRV, {})
    price, fees = known.get(figures.PRICE, {}), found.get(_FEES_NATIVE, {})
    realised, fees_usd = figures.quotient(market_cap, mvrv), figures.product(fees, price)
    return {
        **known,
        figures.REALISED_CAP: _filled(known.get(figures.REALISED_CAP, {}), realised),
        figures.FEES: _filled(known.get(figures.FEES, {}), fees_usd),
    }


def _filled(own: Mapping[dt.date, float], derived: Mapping[dt.date, float]) -> Mapping[dt.date, float]:
    return own if any(math.isfinite(value) for value in own.values()) else derived
