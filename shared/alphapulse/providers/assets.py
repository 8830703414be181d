"""What each source calls an asset.

Only assets in this list are asked for at live sources: a guessed identifier might be another asset's.
An identifier that is absent means that the source has nothing about the asset, or that it is not known to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetIds:
    """Identifiers of one base asset.

    Attributes
    ----------
    coin_metrics : str or None
        Asset of the Coin Metrics API.
    coingecko : str or None
        Coin of the CoinGecko API.
    blockchain_com : bool
        Whether blockchain.com's charts are about it; they are about Bitcoin.
    subreddits : tuple of str
        Where it is talked about, the largest first.
    x_query : str or None
        What posts on X are searched for: the cashtag and the name, neither of which is a common word alone.
    snapshot_space : str or None
        Where votes are held on Snapshot.
    tally_organization : str or None
        Slug on Tally.
    tally_governor : str or None
        Governor contract there, as CAIP-10 account.
    """

    coin_metrics: str | None = None
    coingecko: str | None = None
    blockchain_com: bool = False
    subreddits: tuple[str, ...] = ()
    x_query: str | None = None
    snapshot_space: str | None = None
    tally_organization: str | None = None
    tally_governor: str | None = None


ASSETS: Final[Mapping[str, AssetIds]] = {
    "AAVE": AssetIds(
        coin_metrics="aave",
        coingecko="aave",
        subreddits=("Aave_Official",),
        x_query="($AAVE OR #Aave)",
        snapshot_space="aavedao.eth",
    ),
    "ADA": AssetIds(
        coin_metrics="ada", coingecko="cardano", subreddits=("cardano",), x_query="($ADA OR #Cardano)"
    ),
    "ALGO": AssetIds(
        coin_metrics="algo",
        coingecko="algorand",
        subreddits=("algorand", "AlgorandOfficial"),
        x_query="($ALGO OR #Algorand)",
    ),
    "ARB": AssetIds(
        coingecko="arbitrum",
        subreddits=("Arbitrum",),
        x_query="($ARB OR #Arbitrum)",
        snapshot_space="arbitrumfoundation.eth",
        tally_organization="arbitrum",
    ),
    "AVAX": AssetIds(
        coin_metrics="avaxc",
        coingecko="avalanche-2",
        subreddits=("Avax",),
        x_query="($AVAX OR #Avalanche)",
    ),
    "BCH": AssetIds(
        coin_metrics="bch",
        coingecko="bitcoin-cash",
        subreddits=("Bitcoincash",),
        x_query="($BCH OR #BitcoinCash)",
    ),
    "BNB": AssetIds(
        coin_metrics="bnb",
        coingecko="binancecoin",
        subreddits=("bnbchainofficial",),
        x_query="($BNB OR #BNBChain)",
    ),
    "BTC": AssetIds(
        coin_metrics="btc",
        coingecko="bitcoin",
        blockchain_com=True,
        subreddits=("Bitcoin", "BitcoinMarkets"),
        x_query="($BTC OR #Bitcoin)",
    ),
    "COMP": AssetIds(
        coin_metrics="comp",
        coingecko="compound-governance-token",
        subreddits=("Compound",),
        x_query="($COMP OR #CompoundFinance)",
        snapshot_space="comp-vote.eth",
        tally_organization="compound",
    ),
    "CRV": AssetIds(
        coin_metrics="crv",
        coingecko="curve-dao-token",
        subreddits=("CurveFinance",),
        x_query="($CRV OR #CurveFinance)",
        snapshot_space="curve.eth",
    ),
    "DASH": AssetIds(
        coin_metrics="dash", coingecko="dash", subreddits=("dashpay",), x_query="($DASH OR #Dashpay)"
    ),
    "DOGE": AssetIds(
        coin_metrics="doge", coingecko="dogecoin", subreddits=("dogecoin",), x_query="($DOGE OR #Dogecoin)"
    ),
    "DOT": AssetIds(
        coin_metrics="dot",
        coingecko="polkadot",
        subreddits=("Polkadot", "dot"),
        x_query="($DOT OR #Polkadot)",
    ),
    "ENS": AssetIds(
        coingecko="ethereum-name-service",
        subreddits=("ENS_Domains",),
        x_query="($ENS OR #ENSDomains)",
        snapshot_space="ens.eth",
        tally_organization="ens",
    ),
    "ETC": AssetIds(
        coin_metrics="etc",
        coingecko="ethereum-classic",
        subreddits=("EthereumClassic",),
        x_query="($ETC OR #EthereumClassic)",
    ),
    "ETH": AssetIds(
        coin_metrics="eth",
        coingecko="ethereum",
        subreddits=("ethereum", "ethfinance"),
        x_query="($ETH OR #Ethereum)",
    ),
    "LDO": AssetIds(
        coin_metrics="ldo",
        coingecko="lido-dao",
        subreddits=("LidoFinance",),
        x_query="($LDO OR #LidoDAO)",
        snapshot_space="lido-snapshot.eth",
    ),
    "LINK": AssetIds(
        coin_metrics="link", coingecko="chainlink", subreddits=("Chainlink",), x_query="($LINK OR #Chainlink)"
    ),
    "LTC": AssetIds(
        coin_metrics="ltc", coingecko="litecoin", subreddits=("litecoin",), x_query="($LTC OR #Litecoin)"
    ),
    "MKR": AssetIds(
        coin_metrics="mkr", coingecko="maker", subreddits=("MakerDAO",), x_query="($MKR OR #MakerDAO)"
    ),
    "OP": AssetIds(
        coingecko="optimism",
        subreddits=("optimismCollective",),
        x_query="#Optimism $OP",
        snapshot_space="opcollective.eth",
    ),
    "SOL": AssetIds(
        coin_metrics="sol", coingecko="solana", subreddits=("solana",), x_query="($SOL OR #Solana)"
    ),
    "UNI": AssetIds(
        coin_metrics="uni",
        coingecko="uniswap",
        subreddits=("UniSwap",),
        x_query="($UNI OR #Uniswap)",
        snapshot_space="uniswapgovernance.eth",
        tally_organization="uniswap",
    ),
    "XLM": AssetIds(
        coin_metrics="xlm", coingecko="stellar", subreddits=("Stellar",), x_query="($XLM OR #Stellar)"
    ),
    "XMR": AssetIds(
        coin_metrics="xmr", coingecko="monero", subreddits=("Monero",), x_query="($XMR OR #Monero)"
    ),
    "XRP": AssetIds(
        coin_metrics="xrp", coingecko="ripple", subreddits=("XRP", "Ripple"), x_query="($XRP OR #XRPL)"
    ),
    "ZEC": AssetIds(coin_metrics="zec", coingecko="zcash", subreddits=("zec",), x_query="($ZEC OR #Zcash)"),
}

_NONE: Final = AssetIds()


def ids_of(asset: str) -> AssetIds:
    """Return what the sources call a base asset; nothing at all for one that is not in the list."""
    return ASSETS.get(asset, _NONE)
