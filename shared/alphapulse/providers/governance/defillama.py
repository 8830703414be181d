"""DefiLlama's treasuries: what an organisation's treasury was worth, day by day, without a key.

``GET /treasury/<slug>`` answers ``{"tvl": [{"date": <seconds>, "totalLiquidityUSD": <number>}, ...],
"chainTvls": {"<chain>": {"tvl": [...]}, "OwnTokens": {"tvl": [...]}, ...}}``. ``tvl`` leaves the
organisation's own token out, which is what counts here: a treasury of its own token is worth what the asset
is worth, and would count the price twice. Several points may fall on one day; the last counts.

References
----------
DefiLlama, API, https://api-docs.defillama.com; the treasuries' adapters and their ``OwnTokens``,
https://github.com/DefiLlama/DefiLlama-Adapters
"""

from collections.abc import Mapping
from typing import Any, Final

from alphapulse.domain.agents.evidence import Governance
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AnswerMalformed, AssetUnknown
from alphapulse.providers.governance.reading import count_of, moment_of
from alphapulse.providers.governance.treasury import treasury_series
from alphapulse.providers.source import SourceContext
from alphapulse.providers.transport import reading

NAME: Final = "defillama"
ADDRESS: Final = "https://api.llama.fi"
#: No limit is published; a treasury is asked for a few times an hour.
PACE: Final = Pace(per_minute=30, burst=5)

#: The organisations' slugs. Only those that are known for certain: a guess might be another's treasury.
SLUGS: Final[Mapping[str, str]] = {"AAVE": "aave", "LDO": "lido", "UNI": "uniswap"}


class DefiLlama:
    """The treasury of an asset's organisation.

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
        """Tell whether a treasury is known."""
        return asset in SLUGS

    async def fetch(self, asset: str) -> Governance:
        """Return the treasury's value, and no proposals.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
            There is none to be had.
        """
        slug = SLUGS.get(asset)
        if slug is None:
            raise AssetUnknown(f"{NAME} has no treasury of {asset}")
        now = self._clock()
        answer: Any = await self._client.get(f"/treasury/{slug}")
        with reading(NAME, "a treasury"):
            points = sorted(
                (moment_of(point["date"]), count_of(point["totalLiquidityUSD"])) for point in answer["tvl"]
            )
        # A day's figures are complete when it has ended.
        by_day = {moment.date(): value for moment, value in points if moment.date() < now.date()}
        if not by_day:
            raise AnswerMalformed(f"{NAME} answered a treasury without a value")
        return Governance((), None, treasury_series(by_day, source=NAME, now=now), NAME, now)
