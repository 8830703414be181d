"""One account on Kraken."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from alphapulse.venues.keys import ApiKeys, KeyPermissions
from alphapulse.venues.kraken.signing import signature
from alphapulse.venues.protocol import KeyRefused, VenueRateLimited, VenueUnavailable
from alphapulse.venues.transport import Answer, ExchangeClient

NAME = "kraken"

#: The next nonce of a key, by the key.
Nonces = Callable[[str], Awaitable[int]]

_NONCE = "EAPI:Invalid nonce"
# Requests of several instances may overtake each other on their way.
_NONCE_ATTEMPTS = 3
_KEY_PROBLEMS = {
    "EAPI:Invalid key": "the key is not known",
    "EAPI:Invalid signature": "the signature is not valid: secret and key do not belong together",
    "EGeneral:Permission denied": "the key may not do this",
}
_RATE_LIMITED = frozenset({"EAPI:Rate limit exceeded", "EService:Throttled", "EGeneral:Temporary lockout"})
# `Temporary lockout` lasts fifteen minutes.
_RETRY_AFTER_SECONDS, _LOCKOUT_SECONDS = 15, 900
# "query-funds" shows balances; orders are placed with "modify-trades" and cancelled with "close-trades".
_READ = frozenset({"query-funds", "query-open-trades"})
_TRADE = frozenset({"modify-trades", "close-trades"})
# "withdraw-funds", and "add-withdraw-address" and "update-withdraw-address" that prepare it.
_WITHDRAW = "withdraw"


class KrakenAccount:
    """What a key reaches on Kraken; implements `KeyedAccount`.

    Parameters
    ----------
    keys
        The tenant's key.
    client
        Shared by all accounts of the process.
    nonces
        Strictly increasing for each key, over all processes.
    """

    name = NAME

    def __init__(self, keys: ApiKeys, client: ExchangeClient, *, nonces: Nonces) -> None:
        self._keys = keys
        self._client = client
        self._nonces = nonces

    async def key_permissions(self) -> KeyPermissions:
        """Ask for what the key may do; any permission about withdrawing counts as withdrawing.

        Raises
        ------
        KeyRefused, VenueUnavailable
            As in `KeyedAccount`.
        """
        result = await self._post("/0/private/GetApiKeyInfo")
        granted, addresses = result.get("permissions"), result.get("ipAllowlist", [])
        if not isinstance(granted, list) or not isinstance(addresses, list):
            raise VenueUnavailable("kraken answered nothing that can be used")
        names = frozenset(str(name) for name in granted)
        return KeyPermissions(
            can_read=names >= _READ,
            can_trade=names >= _TRADE,
            can_withdraw=any(_WITHDRAW in name for name in names),
            ip_restricted=bool(addresses),
        )

    async def _post(self, path: str, **parameters: str) -> dict[str, Any]:
        errors: Sequence[str] = ()
        for _ in range(_NONCE_ATTEMPTS):
            answer = await self._signed(path, parameters)
            errors = self._errors(answer)
            if not errors:
                return self._result(answer)
            if _NONCE not in errors:
                break
        raise _error(errors)

    async def _signed(self, path: str, parameters: dict[str, str]) -> Answer:
        nonce = await self._nonces(self._keys.api_key)
        body = urlencode({"nonce": nonce, **parameters})
        headers = {
            "API-Key": self._keys.api_key,
            "API-Sign": signature(self._keys, path=path, nonce=nonce, body=body),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return await self._client.request("POST", path, headers=headers, content=body)

    def _errors(self, answer: Answer) -> Sequence[str]:
        errors = answer.fields.get("error")
        if not isinstance(errors, list):
            raise self._client.unexpected(answer)
        return [str(error) for error in errors]

    def _result(self, answer: Answer) -> dict[str, Any]:
        result = answer.fields.get("result")
        if not isinstance(result, dict):
            raise self._client.unexpected(answer)
        return result


def _error(errors: Sequence[str]) -> KeyRefused | VenueUnavailable:
    """Return the error for Kraken's codes; the text of one that is not known is not passed on."""
    for code in errors:
        if code in _KEY_PROBLEMS:
            return KeyRefused(f"Kraken: {_KEY_PROBLEMS[code]}")
        if code == _NONCE:
            return KeyRefused(
                "Kraken: the key has been used with higher nonces elsewhere; make a key for this use alone",
                code="nonce_refused",
            )
        if code in _RATE_LIMITED:
            seconds = _LOCKOUT_SECONDS if "lockout" in code else _RETRY_AFTER_SECONDS
            return VenueRateLimited("kraken takes no more requests for now", retry_after_seconds=seconds)
    return VenueUnavailable("kraken answered with an error that says nothing about the key")
