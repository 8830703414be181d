"""Short batch tokens, each with the policy of one tenant: minted by the process's login, kept a while."""

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from alphapulse.tenancy.flight import SingleFlight
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault.errors import VaultDenied
from alphapulse.tenancy.vault.login import Grant, grant_of
from alphapulse.tenancy.vault.paths import tenant_policy_name
from alphapulse.tenancy.vault.session import VaultSession
from alphapulse.tenancy.vault.transport import Request, Result, VaultTransport

if TYPE_CHECKING:
    from hvac.adapters import JSONAdapter

ROLE = "tenant"
# The policy `function` allows this life and no other.
LIFE = "300s"
_USE_UP_TO = 0.8  # of a token's life
_KEPT = 4096


class TenantTokens:
    """Tokens of the tenants this process has worked for lately.

    A batch token is not stored by Vault, cannot be renewed and cannot mint further ones. It stops to be
    of use at once when the tenant's policy is removed.
    """

    def __init__(
        self,
        session: VaultSession,
        transport: VaultTransport,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._transport = transport
        self._clock = clock
        self._tokens: OrderedDict[TenantId, tuple[str, float]] = OrderedDict()
        self._minting: SingleFlight[TenantId, str] = SingleFlight()

    async def send(self, tenant_id: TenantId, request: Request[Result], *, what: str) -> Result:
        """Run `request` as the tenant; with a fresh token once more when a kept one is denied."""
        kept = self._kept(tenant_id)
        if kept is not None:
            try:
                return await self._transport.send(request, token=kept, what=what)
            except VaultDenied:
                self._tokens.pop(tenant_id, None)
        token = await self._minting.run(tenant_id, partial(self._mint, tenant_id))
        return await self._transport.send(request, token=token, what=what)

    def _kept(self, tenant_id: TenantId) -> str | None:
        token, until = self._tokens.get(tenant_id, ("", 0.0))
        return token if self._clock() < until else None

    async def _mint(self, tenant_id: TenantId) -> str:
        request = partial(_create, policy=tenant_policy_name(tenant_id))
        grant = await self._session.send(request, what=f"get a token for tenant {tenant_id}")
        self._tokens[tenant_id] = (grant.token, self._clock() + grant.lifetime_seconds * _USE_UP_TO)
        self._tokens.move_to_end(tenant_id)
        while len(self._tokens) > _KEPT:
            self._tokens.popitem(last=False)
        return grant.token


def _create(adapter: "JSONAdapter", *, policy: str) -> Grant:
    # Not hvac's `Token.create`: it sends parameters that the policy `function` does not allow.
    return grant_of(adapter.post(f"/v1/auth/token/create/{ROLE}", json={"policies": [policy], "ttl": LIFE}))
