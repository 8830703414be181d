"""blockchain.com's charts: daily figures of Bitcoin without a key.

``GET /charts/<name>?timespan=6years&sampled=false&format=json`` answers ``{"status": "ok", "unit", "period",
"values": [{"x": <seconds>, "y": <number>}, ...]}``. Some charts have several points a day; the last one of a
day counts. Each chart is a request of its own, and one that fails takes none of the others with it.

References
----------
Blockchain.com, Charts & Statistics API, https://www.blockchain.com/explorer/api/charts_api
"""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from alphapulse.domain.agents.evidence import DailySeries
from alphapulse.providers.assets import ids_of
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AnswerMalformed, AssetUnknown, ProviderError
from alphapulse.providers.on_chain import figures
from alphapulse.providers.source import SourceContext
from alphapulse.providers.transport import reading

NAME: Final = "blockchain_com"
ADDRESS: Final = "https://api.blockchain.info"
#: All charts at once, and a few times an hour; the service publishes no limit for charts.
PACE: Final = Pace(per_minute=30, burst=10)

_QUESTION: Final = {"timespan": "6years", "sampled": "false", "format": "json"}
# This chart is found only by those who do not ask for what is written beside it on the site.
_WITHOUT_METADATA: Final = frozenset({"mvrv"})
_CHARTS: Final = {
    "market-price": figures.PRICE,
    "market-cap": figures.MARKET_CAP,
    "mvrv": figures.MVRV,
    "estimated-transaction-volume-usd": figures.TRANSFER_VOLUME,
    "n-unique-addresses": figures.ACTIVE_ADDRESSES,
    "n-transactions": figures.TRANSACTIONS,
    "transaction-fees-usd": figures.FEES,
    "total-bitcoins": figures.SUPPLY,
    "hash-rate": figures.HASH_RATE,
}


class BlockchainCom:
    """Daily figures of Bitcoin.

    Parameters
    ----------
    context
        Gives the client and the time.
    """

    name = NAME

    def __init__(self, context: SourceContext) -> None:
        self._client = context.client(NAME, ADDRESS, pace=PACE)
        self._clock = context.clock

    def covers(self, asset: str) -> bool:
        """Tell whether it is Bitcoin."""
        return ids_of(asset).blockchain_com

    async def fetch(self, asset: str) -> Mapping[str, DailySeries]:
        """Return the series there are.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
            There are none.
        """
        if not self.covers(asset):
            raise AssetUnknown(f"{NAME} has nothing about {asset}")
        now = self._clock()
        outcomes = await asyncio.gather(*(self._chart(chart) for chart in _CHARTS), return_exceptions=True)
        found: dict[str, Mapping[dt.date, float]] = {}
        failure: ProviderError | None = None
        for name, outcome in zip(_CHARTS.values(), outcomes, strict=True):
            if isinstance(outcome, ProviderError):
                failure = failure or outcome
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                found[name] = outcome
        if failure is not None and not found:
            raise failure
        realised = figures.quotient(found.get(figures.MARKET_CAP, {}), found.get(figures.MVRV, {}))
        return figures.series_of({**found, figures.REALISED_CAP: realised}, source=NAME, now=now)

    def is_whole(self, value: Mapping[str, DailySeries]) -> bool:
        """Tell whether every chart came."""
        return all(name in value for name in _CHARTS.values())

    async def _chart(self, chart: str) -> Mapping[dt.date, float]:
        question = _QUESTION | ({"metadata": "false"} if chart in _WITHOUT_METADATA else {})
        answer: Any = await self._client.get(f"/charts/{chart}", question)
        with reading(NAME, f"the chart {chart}"):
            # In order of time, so that the last point of a day is the one that stays.
            points = sorted((int(point["x"]), figures.figure_of(point["y"])) for point in answer["values"])
            found = {dt.datetime.fromtimestamp(seconds, dt.UTC).date(): y for seconds, y in points}
        if not found:
            raise AnswerMalformed(f"{NAME} answered the chart {chart} without a value")
        return found
