"""Assets whose holders do not vote: a reason of its own, because no source will ever have more to say."""

from typing import Final, NoReturn

from alphapulse.domain.agents.evidence import Governance
from alphapulse.providers.errors import AssetUnknown

#: Changes of these are settled among developers, miners or validators; holding coins gives no vote on them.
WITHOUT_VOTES: Final = frozenset(
    {"BCH", "BTC", "DOGE", "ETC", "ETH", "LINK", "LTC", "XLM", "XMR", "XRP", "ZEC"}
)


class WithoutVotes:
    """Says of some assets that their holders do not vote."""

    name = "without_votes"

    def covers(self, asset: str) -> bool:
        """Tell whether it is one of them."""
        return asset in WITHOUT_VOTES

    async def fetch(self, asset: str) -> Governance:
        """Refuse.

        Raises
        ------
        alphapulse.providers.errors.AssetUnknown
            Always.
        """
        return _refuse(asset)


def _refuse(asset: str) -> NoReturn:
    raise AssetUnknown(f"holders of {asset} do not vote on proposals")
