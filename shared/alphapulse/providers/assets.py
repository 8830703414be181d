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
    ethereum_contract : str or None
        Of the token, if it is one of Ethereum.
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
    ethereum_contract: str | None = None
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
        ethereum_contract="0x7Fc66500c84A76Ad7e9c93437bFc5Ac33E2DDaE9",
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
        ethereum_contract="0xc00e94Cb662C3520282E6f5717214004A7f26888",
        subreddits=("Compound",),
        x_query="($COMP OR #CompoundFinance)",
        snapshot_space="comp-vote.eth",
        tally_organization="compound",
    ),
    "CRV": AssetIds(
        coin_metrics="crv",
        coingecko="curve-dao-token",
        ethereum_contract="0xD533a949740bb3306d119CC777fa900bA034cd52",
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
        ethereum_contract="0xC18360217D8F7Ab5e7c516566761Ea12Ce7F9D72",
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
        ethereum_contract="0x5A98FcBEA516Cf06857215779Fd812CA3beF1B32",
        subreddits=("LidoFinance",),
        x_query="($LDO OR #LidoDAO)",
        snapshot_space="lido-snapshot.eth",
    ),
    "LINK": AssetIds(
        coin_metrics="link",
        coingecko="chainlink",
        ethereum_contract="0x514910771AF9Ca656af840dff83E8264EcF986CA",
        subreddits=("Chainlink",),
        x_query="($LINK OR #Chainlink)",
    ),
    "LTC": AssetIds(
        coin_metrics="ltc", coingecko="litecoin", subreddits=("litecoin",), x_query="($LTC OR #Litecoin)"
    ),
    "MKR": AssetIds(
        coin_metrics="mkr",
        coingecko="maker",
        ethereum_contract="0x9f8F72aA9304c8B593d555F12eF6589cC3A579A2",
        subreddits=("MakerDAO",),
        x_query="($MKR OR #MakerDAO)",
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
        ethereum_contract="0x1f9840a85d5aF5bf1D1762F925BDADdC4201F984",
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
