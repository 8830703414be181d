"""Ethplorer: how the tokens of Ethereum are distributed over their holders.

``GET /getTopTokenHolders/<contract>?limit=100`` answers ``{"holders": [{"address", "balance", "share"},
...]}``, the largest first, shares in percent of all tokens. Free: its public key allows 2 requests a second,
20 a minute, 100 an hour and 1,000 a day, a personal one 10 a second. Contracts count as holders, exchanges
and vesting among them, so the shares are an upper bound of what single owners hold.

References
----------
Ethplorer, API, https://github.com/EverexIO/Ethplorer/wiki/Ethplorer-API
"""

from collections.abc import Mapping
from typing import Final

from alphapulse.domain.signals import SignalInput
from alphapulse.providers.assets import ids_of
from alphapulse.providers.budget import Pace
from alphapulse.providers.errors import AnswerMalformed, AssetUnknown
from alphapulse.providers.on_chain.figures import figure_of
from alphapulse.providers.source import SourceContext
from alphapulse.providers.supply import figures
from alphapulse.providers.transport import reading

NAME: Final = "ethplorer"
ADDRESS: Final = "https://api.ethplorer.io"
PACE: Final = Pace(per_minute=15, burst=2)

# Published for everybody; a personal key replaces it.
_PUBLIC_KEY: Final = "freekey"
_HOLDERS: Final = 100
_FEW: Final = 10
# Shares are rounded to hundredths, a hundred of them may add up to a little more than all.
_ROUNDING: Final = 0.01


class Ethplorer:
    """Shares of the largest holders of a token.

    Parameters
    ----------
    context
        Gives the client, the time, and a personal key if there is one.
    """

    name = NAME

    def __init__(self, context: SourceContext) -> None:
        self._client = context.client(NAME, ADDRESS, pace=PACE)
        self._key = context.key_of(NAME) or _PUBLIC_KEY
        self._clock = context.clock

    def covers(self, asset: str) -> bool:
        """Tell whether the asset is a token of Ethereum whose contract is known."""
        return ids_of(asset).ethereum_contract is not None

    async def fetch(self, asset: str) -> Mapping[str, SignalInput]:
        """Return the shares of the ten and the hundred largest holders.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
            There are none.
        """
        contract = ids_of(asset).ethereum_contract
        if contract is None:
            raise AssetUnknown(f"{NAME} has nothing about {asset}")
        question = {"apiKey": self._key, "limit": str(_HOLDERS)}
        answer = await self._client.get(f"/getTopTokenHolders/{contract}", question)
        with reading(NAME, f"the holders of {asset}"):
            shares = sorted((figure_of(holder["share"]) / 100 for holder in answer["holders"]), reverse=True)
            values = {figures.TOP_10: sum(shares[:_FEW])}
            # Fewer than a hundred is a token's all holders, or a limit of the service: not the same figure.
            if len(shares) >= _HOLDERS:
                values[figures.TOP_100] = sum(shares[:_HOLDERS])
        if len(shares) < _FEW or not all(0 <= value <= 1 + _ROUNDING for value in values.values()):
            raise AnswerMalformed(f"{NAME} answered holders of {asset} that do not add up")
        bounded = {name: min(1.0, value) for name, value in values.items()}
        return figures.inputs(bounded, as_of=self._clock(), source=NAME)
