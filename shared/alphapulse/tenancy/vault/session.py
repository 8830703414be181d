"""The process's own login to Vault: made at first need, renewed while it can be, made again after that."""

import asyncio
import time
from collections.abc import Callable

import structlog

from alphapulse.tenancy.vault.errors import VaultDenied, VaultError, VaultUnavailable
from alphapulse.tenancy.vault.login import Grant, Login, grant_of
from alphapulse.tenancy.vault.transport import Request, Result, VaultTransport

_RENEW_AFTER = 2 / 3  # of a token's life
_MARGIN_SECONDS = 5.0  # a token that ends within this is not begun with

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class VaultSession:
    """Holds the token of one process.

    Nothing runs in the background: a process that sleeps at zero or idles keeps no token alive.

    Parameters
    ----------
    login
        Gets a token.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, transport: VaultTransport, login: Login, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport = transport
        self._login = login
        self._clock = clock
        self._lock = asyncio.Lock()
        self._grant: Grant | None = None
        self._renew_at = 0.0
        self._ends_at = 0.0
        self.logins = 0

    async def send(self, request: Request[Result], *, what: str) -> Result:
        """Run `request` with the process's token; log in again once when the token is no longer known."""
        token = await self._token()
        try:
            return await self._transport.send(request, token=token, what=what)
        except VaultDenied:
            if await self._is_known(token):
                raise
            self._reject(token)
        return await self._transport.send(request, token=await self._token(), what=what)

    async def _token(self) -> str:
        if self._grant is not None and self._clock() < self._renew_at:
            return self._grant.token
        async with self._lock:
            now = self._clock()
            if self._grant is None or now >= self._ends_at:
                return await self._log_in()
            if now >= self._renew_at:
                return await self._renew(self._grant)
            return self._grant.token

    async def _log_in(self) -> str:
        self._grant = None
        try:
            grant = await self._transport.send(self._login, token=None, what="log in")
        except (VaultUnavailable, VaultDenied):
            raise
        except VaultError as error:
            # AppRole answers 400, not 403, to a wrong role id or secret id.
            raise VaultDenied("Vault denies the login") from error
        self.logins += 1
        return self._keep(grant)

    async def _renew(self, grant: Grant) -> str:
        if not grant.renewable:
            return await self._log_in()
        try:
            renewed = await self._transport.send(_renew, token=grant.token, what="renew the login")
        except VaultDenied:
            return await self._log_in()
        except VaultUnavailable as error:
            # It still holds for a third of its life; the request that wants it may succeed or say so.
            logger.warning("vault_renewal_failed", error=type(error.__cause__).__name__)
            return grant.token
        if renewed.lifetime_seconds < grant.lifetime_seconds / 2:
            # The longest life is near: further renewals would give less and less.
            return await self._log_in()
        return self._keep(renewed)

    def _keep(self, grant: Grant) -> str:
        now = self._clock()
        self._grant = grant
        self._renew_at = now + grant.lifetime_seconds * _RENEW_AFTER
        self._ends_at = now + max(grant.lifetime_seconds - _MARGIN_SECONDS, grant.lifetime_seconds / 2)
        return grant.token

    async def _is_known(self, token: str) -> bool:
        """Tell a token that may not do this from one that has expired or was revoked."""
        try:
            await self._transport.send(_look_up, token=token, what="look up the login")
        except VaultDenied:
            return False
        return True

    def _reject(self, token: str) -> None:
        if self._grant is not None and self._grant.token == token:
            self._grant = None


def _renew(adapter: object) -> Grant:
    from hvac.api.auth_methods import Token  # noqa: PLC0415 - in the request's thread

    return grant_of(Token(adapter).renew_self())


def _look_up(adapter: object) -> None:
    from hvac.api.auth_methods import Token  # noqa: PLC0415 - in the request's thread

    Token(adapter).lookup_self()
