"""CoinGecko: present price, market value, volume and supply.

``GET /api/v3/coins/markets?vs_currency=usd&ids=...`` answers a list of coins with ``id``, ``current_price``,
``market_cap``, ``total_volume``, ``circulating_supply``, ``max_supply`` (null without one) and
``last_updated``. One request asks for all known coins, because requests are what is scarce: without a key
they are limited by address, with a free key to 100 a minute. A market value of 0 means that CoinGecko could
not verify the supply; it counts as absent.

References
----------
CoinGecko, API documentation, https://docs.coingecko.com
"""

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from alphapulse.domain.signals import SignalInput
from alphapulse.providers.assets import ASSETS, ids_of
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AnswerMalformed
from alphapulse.providers.on_chain.figures import figure_of
from alphapulse.providers.source import SourceContext
from alphapulse.providers.supply import figures
from alphapulse.providers.transport import reading

NAME: Final = "coingecko"
ADDRESS: Final = "https://api.coingecko.com"
#: Addresses without a key share a limit that is not published; one request in 5 minutes is what is needed.
PACE_WITHOUT_KEY: Final = Pace(per_minute=5, burst=3)
PACE_WITH_KEY: Final = Pace(per_minute=25, burst=5)

_PATH: Final = "/api/v3/coins/markets"
_PRO_HOST: Final = "pro-api.coingecko.com"
_FIELDS: Final = {
    "current_price": figures.PRICE,
    "market_cap": figures.MARKET_CAP,
    "circulating_supply": figures.CIRCULATING,
    "max_supply": figures.MAX_SUPPLY,
    "total_volume": figures.VOLUME,
}
# 0 means that it is not known.
_POSITIVE: Final = (figures.PRICE, figures.MARKET_CAP, figures.CIRCULATING, figures.MAX_SUPPLY)


class CoinGecko:
    """Present figures of all known coins.

    Parameters
    ----------
    context
        Gives the client, and the key if there is one.
    """

    name = NAME

    def __init__(self, context: SourceContext) -> None:
        key = context.key_of(NAME)
        paid = urlsplit(context.address_of(NAME, ADDRESS)).hostname == _PRO_HOST
        header = "x-cg-pro-api-key" if paid else "x-cg-demo-api-key"
        self._client = context.client(
            NAME,
            ADDRESS,
            pace=PACE_WITHOUT_KEY if key is None else PACE_WITH_KEY,
            headers={} if key is None else {header: key},
        )

    def covers(self, asset: str) -> bool:
        """Tell whether CoinGecko's name of an asset is known."""
        return ids_of(asset).coingecko is not None

    async def fetch_all(self) -> Mapping[str, Mapping[str, SignalInput]]:
        """Return the figures of all assets that CoinGecko has.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
            There are none.
        """
        assets = {ids.coingecko: asset for asset, ids in ASSETS.items() if ids.coingecko is not None}
        question = {"vs_currency": "usd", "ids": ",".join(assets), "per_page": "250", "page": "1"}
        answer = await self._client.get(_PATH, question)
        with reading(NAME, "the coins"):
            coins = {coin["id"]: coin for coin in answer}
        found: dict[str, Mapping[str, SignalInput]] = {}
        odd: list[AnswerMalformed] = []
        for coin_id, asset in assets.items():
            if coin_id in coins:
                try:
                    with reading(NAME, f"the figures of {asset}"):
                        found[asset] = _figures(coins[coin_id])
                except AnswerMalformed as error:
                    odd.append(error)  # of a coin that rests: it costs the others nothing
        # Most of them odd is another format.
        if len(odd) > len(found):
            raise odd[0]
        if not found:
            raise AnswerMalformed(f"{NAME} answered none of the coins that were asked for")
        return found


def _figures(coin: Mapping[str, Any]) -> dict[str, SignalInput]:
    values = {name: figure_of(coin[field]) for field, name in _FIELDS.items()}
    for name in _POSITIVE:
        if values[name] == 0:
            values[name] = math.nan
    as_of = dt.datetime.fromisoformat(coin["last_updated"])
    if as_of.tzinfo is None:
        raise ValueError("a time needs an offset")
    return figures.inputs(values, as_of=as_of.astimezone(dt.UTC), source=NAME)
