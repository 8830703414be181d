"""The exchanges that are reached with a tenant's key, and an account on one."""

from collections.abc import Mapping

from alphapulse.venues.binance.account import BinanceAccount
from alphapulse.venues.coinbase.account import CoinbaseAccount
from alphapulse.venues.keys import ApiKeys, KeyedAccount
from alphapulse.venues.kraken.account import KrakenAccount, Nonces
from alphapulse.venues.transport import Clock, ExchangeClient

#: Their own addresses; settings may name a test system instead.
BASE_URLS: Mapping[str, str] = {
    "binance": "https://api.binance.com",
    "coinbase": "https://api.coinbase.com",
    "kraken": "https://api.kraken.com",
}


class Exchanges:
    """The clients of one process, one for each exchange; made once.

    Parameters
    ----------
    base_urls
        By exchange; the exchange's own address for one that is missing.
    clock
        Aware UTC now.
    kraken_nonces
        The next nonce of a Kraken key.
    """

    def __init__(self, base_urls: Mapping[str, str], *, clock: Clock, kraken_nonces: Nonces) -> None:
        self._clients = {
            name: ExchangeClient(name, base_urls.get(name, own), clock=clock)
            for name, own in BASE_URLS.items()
        }
        self._kraken_nonces = kraken_nonces

    def account(self, exchange: str, keys: ApiKeys) -> KeyedAccount:
        """Return the account that a key belongs to.

        Raises
        ------
        ValueError
            There is no adapter for the exchange.
        """
        if exchange not in self._clients:
            raise ValueError(f"there is no adapter for the exchange {exchange!r}")
        client = self._clients[exchange]
        match exchange:
            case "binance":
                return BinanceAccount(keys, client)
            case "coinbase":
                return CoinbaseAccount(keys, client)
            case _:
                return KrakenAccount(keys, client, nonces=self._kraken_nonces)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()
