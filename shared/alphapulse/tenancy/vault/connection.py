"""The process's connection to Vault; hands out views of single tenants only."""

import time
from collections.abc import Callable

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault.cache import SecretCache
from alphapulse.tenancy.vault.login import Login
from alphapulse.tenancy.vault.session import VaultSession
from alphapulse.tenancy.vault.tenant import TenantVault
from alphapulse.tenancy.vault.tokens import TenantTokens
from alphapulse.tenancy.vault.transport import VaultServer, VaultTransport


class VaultConnection:
    """One per process; logs in at first need.

    Parameters
    ----------
    login
        Proves which function this is: `AppRoleLogin` or `KubernetesLogin`.
    clock
        Seconds that only grow.
    """

    def __init__(
        self, server: VaultServer, login: Login, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport = VaultTransport(server)
        self.session = VaultSession(self._transport, login, clock=clock)
        self._tokens = TenantTokens(self.session, self._transport, clock=clock)
        self._cache = SecretCache(clock=clock)

    @property
    def requests_sent(self) -> int:
        """HTTP requests to Vault so far, logins and renewals included."""
        return self._transport.requests_sent

    def tenant(self, tenant_id: TenantId) -> TenantVault:
        """Return the secrets of one tenant."""
        return TenantVault(tenant_id, tokens=self._tokens, cache=self._cache)

    async def close(self) -> None:
        """Forget every secret, give threads and connections free."""
        self._cache.clear()
        await self._transport.close()
