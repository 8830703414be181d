"""One tenant's secrets: nothing outside its subtree can be named, and its token opens nothing else."""

from collections.abc import Mapping, Sequence
from functools import partial

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault import kv
from alphapulse.tenancy.vault.cache import SecretCache
from alphapulse.tenancy.vault.paths import join, tenant_root
from alphapulse.tenancy.vault.secret import SecretVersions, VaultSecret
from alphapulse.tenancy.vault.tokens import TenantTokens
from alphapulse.tenancy.vault.transport import Request, Result


class TenantVault:
    """Secrets below `secret/tenants/<tenant_id>/`; made by `VaultConnection.tenant`.

    Paths are given in parts, each checked: `await vault.read("exchanges", "kraken")`.

    Raises
    ------
    ValueError
        By every method: a part is not acceptable.
    VaultUnavailable, VaultDenied
        By every method that asks Vault.
    """

    def __init__(self, tenant_id: TenantId, *, tokens: TenantTokens, cache: SecretCache) -> None:
        self._tenant_id = tenant_id
        self._root = tenant_root(tenant_id)
        self._tokens = tokens
        self._cache = cache

    async def read(self, *parts: str, version: int | None = None) -> VaultSecret | None:
        """Return a secret, at most five minutes old; None when there is none or it was destroyed.

        While Vault is unreachable, the last value is returned for up to an hour, marked stale.

        Parameters
        ----------
        version
            That version; the newest when not given. A reader that knows the version from the database
            gets the right value at once after a change, whatever this process remembers.
        """
        path = join(self._root, parts)
        return await self._cache.read((path, version), partial(self._fetch, path, version))

    async def write(self, *parts: str, data: Mapping[str, str], cas: int | None = None) -> int:
        """Store a new version and return its number.

        Parameters
        ----------
        cas
            The version that must be the newest now; 0 when there must be none.

        Raises
        ------
        CasMismatch
            Another version is the newest.
        """
        path = join(self._root, parts)
        _check(data)
        request = partial(kv.write, path=path, data=dict(data), cas=cas)
        try:
            return await self._send(request, f"write {path}")
        finally:
            # Also after a failure: the answer may be what was lost.
            self._cache.forget(path)

    async def versions(self, *parts: str) -> SecretVersions:
        """Return which versions of a secret Vault holds now; never from memory."""
        path = join(self._root, parts)
        return await self._send(partial(kv.versions, path=path), f"read versions of {path}")

    async def delete(self, *parts: str) -> None:
        """Remove all versions and the metadata; removing what is not there is no error."""
        path = join(self._root, parts)
        try:
            await self._send(partial(kv.remove, path=path), f"delete {path}")
        finally:
            self._cache.forget(path)

    async def destroy(self, *parts: str, versions: Sequence[int]) -> None:
        """Remove the data of some versions for good; the others stay."""
        path = join(self._root, parts)
        try:
            await self._send(partial(kv.destroy, path=path, versions=list(versions)), f"destroy {path}")
        finally:
            self._cache.forget(path)

    async def list(self, *parts: str) -> list[str]:
        """Return the names below a path, sorted; a name that ends with `/` has names below it."""
        path = join(self._root, parts)
        return await self._send(partial(kv.names, path=path), f"list {path}")

    def forget(self, *parts: str) -> None:
        """Drop what this process remembers of a secret."""
        self._cache.forget(join(self._root, parts))

    async def _fetch(self, path: str, version: int | None) -> VaultSecret | None:
        return await self._send(partial(kv.read, path=path, version=version), f"read {path}")

    async def _send(self, request: Request[Result], what: str) -> Result:
        return await self._tokens.send(self._tenant_id, request, what=what)


def _check(data: Mapping[str, str]) -> None:
    # The values are left out of the message: they are secrets.
    values: Mapping[str, object] = data
    wrong = sorted(name for name, value in values.items() if not isinstance(value, str))
    if wrong:
        raise TypeError(f"a secret's data are texts; these are not: {', '.join(wrong)}")
    if not data:
        raise ValueError("a secret needs at least one value")
