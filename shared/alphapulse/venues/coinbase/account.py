"""One account on Coinbase Advanced Trade."""

from alphapulse.venues.coinbase.signing import bearer_token
from alphapulse.venues.keys import ApiKeys, KeyPermissions
from alphapulse.venues.protocol import KeyRefused
from alphapulse.venues.transport import Answer, ExchangeClient

NAME = "coinbase"

_NOT_AUTHENTICATED, _NOT_PERMITTED = 401, 403


class CoinbaseAccount:
    """What a key reaches on Coinbase; implements `KeyedAccount`.

    Parameters
    ----------
    keys
        The tenant's key.
    client
        Shared by all accounts of the process.
    """

    name = NAME

    def __init__(self, keys: ApiKeys, client: ExchangeClient) -> None:
        self._keys = keys
        self._client = client

    async def key_permissions(self) -> KeyPermissions:
        """Ask for the key's permissions; `can_transfer` is withdrawing.

        Raises
        ------
        KeyRefused, VenueUnavailable
            As in `KeyedAccount`.
        """
        answer = await self._get("/api/v3/brokerage/key_permissions")
        view, trade, transfer = (answer.fields.get(f"can_{name}") for name in ("view", "trade", "transfer"))
        if not isinstance(view, bool) or not isinstance(trade, bool) or not isinstance(transfer, bool):
            raise self._client.unexpected(answer)
        return KeyPermissions(can_read=view, can_trade=trade, can_withdraw=transfer)

    async def _get(self, path: str) -> Answer:
        answer = await self._signed(path)
        if answer.status == _NOT_AUTHENTICATED and self._clock_was_off(answer):
            answer = await self._signed(path)
        if answer.status == _NOT_PERMITTED and answer.body is None:
            # A page of the network in front, which has its own reasons to refuse.
            raise self._client.unexpected(answer)
        if answer.status in (_NOT_AUTHENTICATED, _NOT_PERMITTED):
            raise KeyRefused(f"Coinbase does not accept the key ({answer.status})")
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise self._client.unexpected(answer)
        return answer

    async def _signed(self, path: str) -> Answer:
        token = bearer_token(
            self._keys, method="GET", host=self._client.host, path=path, now=self._client.now
        )
        return await self._client.request("GET", path, headers={"Authorization": f"Bearer {token}"})

    def _clock_was_off(self, answer: Answer) -> bool:
        """Take the time of the answer; a 401 does not say that the token's time was the reason."""
        return answer.date is not None and self._client.correct_clock(answer.date)
