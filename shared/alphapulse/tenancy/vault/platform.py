"""What the platform itself does in Vault: tenants' policies and subtrees, and the key that signs tokens.

Works with the process's own login, so its AppRole decides what succeeds: `provisioner` (the provisioning
steps that make, check and remove a tenant) or `accounts` (the signing keys). Any other function is denied.
"""

from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault import kv, signing_keys
from alphapulse.tenancy.vault.connection import VaultConnection
from alphapulse.tenancy.vault.errors import CasMismatch, VaultError
from alphapulse.tenancy.vault.paths import SIGNING_KEYS, tenant_policy_name, tenant_root
from alphapulse.tenancy.vault.signing_keys import SigningKeys

if TYPE_CHECKING:
    from hvac.adapters import JSONAdapter


class PlatformVault:
    """Administers tenants and the signing keys with the login of this process.

    Raises
    ------
    VaultUnavailable, VaultDenied
        By every method.
    """

    def __init__(self, connection: VaultConnection) -> None:
        self._session = connection.session

    async def create_tenant(self, tenant_id: TenantId) -> None:
        """Write the policy `tenant-<id>`; to write it again changes nothing."""
        request = partial(_write_policy, name=tenant_policy_name(tenant_id), text=tenant_policy(tenant_id))
        await self._session.send(request, what=f"write the policy of tenant {tenant_id}")

    async def remove_tenant(self, tenant_id: TenantId) -> None:
        """Remove the policy, then every secret below the tenant's path, and look that nothing is left.

        The policy goes first: no token of the tenant opens anything from then on.

        Raises
        ------
        VaultError
            Something was written meanwhile and is still there.
        """
        request = partial(_remove_policy, name=tenant_policy_name(tenant_id))
        await self._session.send(request, what=f"remove the policy of tenant {tenant_id}")
        request = partial(_remove_subtree, path=tenant_root(tenant_id))
        await self._session.send(request, what=f"remove the secrets of tenant {tenant_id}")
        left = await self.tenants_left(tenant_id)
        if left:
            raise VaultError(f"still in Vault after its removal: {', '.join(left)}")

    async def tenant_exists(self, tenant_id: TenantId) -> bool:
        """Say whether the tenant's policy is there and as it should be."""
        request = partial(_read_policy, name=tenant_policy_name(tenant_id))
        found = await self._session.send(request, what=f"read the policy of tenant {tenant_id}")
        return found is not None and found.strip() == tenant_policy(tenant_id).strip()

    async def tenants_left(self, tenant_id: TenantId) -> list[str]:
        """Return what Vault still holds of a tenant: its policy and the paths of its secrets."""
        name = tenant_policy_name(tenant_id)
        policy = await self._session.send(partial(_read_policy, name=name), what=f"read the policy {name}")
        request = partial(_secrets_below, path=tenant_root(tenant_id))
        secrets = await self._session.send(request, what=f"list the secrets of tenant {tenant_id}")
        return [*([f"policy {name}"] if policy is not None else []), *(f"secret {path}" for path in secrets)]

    async def signing_keys(self) -> SigningKeys:
        """Return the keys that access tokens are signed and verified with; the first call makes them."""
        found = await self._read_keys()
        if found is None:
            await self._write_keys(signing_keys.first(), cas=0)
            found = await self._read_keys()
        if found is None:
            raise VaultError("the signing keys were written and are not there")
        return found

    async def rotate_signing_key(self, before: SigningKeys) -> SigningKeys:
        """Make a new key current and the current one previous; the one before that is gone.

        Parameters
        ----------
        before
            The keys as the caller has seen them. If they were rotated since, those keys are left as they
            are and returned: two rotations at once are one.
        """
        await self._write_keys(signing_keys.next_after(before), cas=before.version)
        return await self.signing_keys()

    async def _read_keys(self) -> SigningKeys | None:
        request = partial(kv.read, path=SIGNING_KEYS, version=None)
        secret = await self._session.send(request, what="read the signing keys")
        return None if secret is None else signing_keys.from_secret(secret)

    async def _write_keys(self, data: dict[str, str], *, cas: int) -> None:
        request = partial(kv.write, path=SIGNING_KEYS, data=data, cas=cas)
        try:
            await self._session.send(request, what="write the signing keys")
        except CasMismatch:
            return  # another process was faster; its keys are as good and are read next


def tenant_policy(tenant_id: TenantId) -> str:
    """Return the text of the policy that opens one tenant's subtree."""
    template = files("alphapulse.tenancy.vault").joinpath("tenant_policy.hcl").read_text("utf-8")
    return template.replace("TENANT_ROOT", tenant_root(tenant_id))


def _write_policy(adapter: "JSONAdapter", *, name: str, text: str) -> None:
    _policies(adapter).create_or_update_acl_policy(name, text)


def _read_policy(adapter: "JSONAdapter", *, name: str) -> str | None:
    from hvac.exceptions import InvalidPath  # noqa: PLC0415 - in the request's thread

    try:
        return str(_policies(adapter).read_acl_policy(name)["data"]["policy"])
    except InvalidPath:
        return None


def _remove_policy(adapter: "JSONAdapter", *, name: str) -> None:
    _policies(adapter).delete_acl_policy(name)


def _remove_subtree(adapter: "JSONAdapter", *, path: str) -> None:
    for found in list(kv.paths_below(adapter, path=path)):
        kv.remove(adapter, path=found)


def _secrets_below(adapter: "JSONAdapter", *, path: str) -> list[str]:
    return list(kv.paths_below(adapter, path=path))


def _policies(adapter: "JSONAdapter") -> Any:
    from hvac.api.system_backend import SystemBackend  # noqa: PLC0415 - in the request's thread

    return SystemBackend(adapter)
