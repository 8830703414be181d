"""One account on Binance."""

import datetime as dt
from typing import Any

from alphapulse.venues.binance.signing import signed_query
from alphapulse.venues.keys import ApiKeys, KeyPermissions
from alphapulse.venues.protocol import KeyRefused, VenueRateLimited, VenueUnavailable
from alphapulse.venues.transport import Answer, ExchangeClient

NAME = "binance"

_CLOCK = -1021
_RATE_LIMITED = frozenset({-1003, -1015})
_KEY_PROBLEMS = {
    -1002: "the key is not authorised",
    -1022: "the signature is not valid: secret and key do not belong together",
    -2014: "the key is not of Binance's form",
    -2015: "key, address or permissions are not accepted",
}


class BinanceAccount:
    """What a key reaches on Binance; implements `KeyedAccount`.

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
        """Ask for the key's restrictions.

        Moving funds between the owner's own sub-accounts (`enableInternalTransfer`,
        `permitsUniversalTransfer`) is not withdrawing.

        Raises
        ------
        KeyRefused, VenueUnavailable
            As in `KeyedAccount`.
        """
        answer = await self._get("/sapi/v1/account/apiRestrictions")
        return KeyPermissions(
            can_read=_flag(self._client, answer, "enableReading"),
            can_trade=_flag(self._client, answer, "enableSpotAndMarginTrading"),
            can_withdraw=_flag(self._client, answer, "enableWithdrawals"),
            ip_restricted=_flag(self._client, answer, "ipRestrict"),
        )

    async def _get(self, path: str, **parameters: str) -> Answer:
        """Send a signed GET; once more with the exchange's clock if ours is what it objects to."""
        answer = await self._signed(path, parameters)
        if _code(answer) == _CLOCK:
            await self._correct_clock()
            answer = await self._signed(path, parameters)
        if answer.status >= 400:  # noqa: PLR2004 - refused
            raise self._error(answer)
        return answer

    async def _signed(self, path: str, parameters: dict[str, str]) -> Answer:
        timestamp_ms = int(self._client.now.timestamp() * 1000)
        query = signed_query(self._keys, parameters, timestamp_ms=timestamp_ms)
        return await self._client.request(
            "GET", f"{path}?{query}", headers={"X-MBX-APIKEY": self._keys.api_key}
        )

    async def _correct_clock(self) -> None:
        answer = await self._client.request("GET", "/api/v3/time")
        time_ms = answer.fields.get("serverTime")
        if not isinstance(time_ms, int):
            raise self._client.unexpected(answer)
        self._client.correct_clock(dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC))

    def _error(self, answer: Answer) -> KeyRefused | VenueUnavailable:
        code = _code(answer)
        if code in _KEY_PROBLEMS:
            return KeyRefused(f"Binance: {_KEY_PROBLEMS[code]} ({code})")
        if code in _RATE_LIMITED:
            return VenueRateLimited(
                "binance takes no more requests for now", retry_after_seconds=answer.retry_after_seconds
            )
        if code == _CLOCK:
            return VenueUnavailable("binance does not accept the time of the request")
        return self._client.unexpected(answer)


def _code(answer: Answer) -> Any:
    return answer.fields.get("code")


def _flag(client: ExchangeClient, answer: Answer, name: str) -> bool:
    """Return a flag; one that is missing is not taken for either."""
    value = answer.fields.get(name)
    if not isinstance(value, bool):
        raise client.unexpected(answer)
    return value
