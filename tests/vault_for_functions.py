"""A development store of secrets that functions under test log in to, set up from the repository's files."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault.platform import tenant_policy
from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from tests.processes import ROOT

_FILES = ROOT / "knative/platform/vault"
_FUNCTION = "credentials"


@contextlib.contextmanager
def running_vault(directory: Path) -> Iterator["FunctionVault"]:
    """Run a store of secrets that is set up, until the block ends."""
    store = EmbeddedSecretStore(directory / "data")
    store.start()
    try:
        vault = FunctionVault(store, directory)
        vault.set_up()
        yield vault
    finally:
        store.stop()


class FunctionVault:
    """The store, as its administrator sees it.

    Attributes
    ----------
    role_id_file, secret_id_file
        The login of a function.
    """

    def __init__(self, store: EmbeddedSecretStore, directory: Path) -> None:
        self.store = store
        self.role_id_file = directory / "role-id"
        self.secret_id_file = directory / "secret-id"

    def set_up(self) -> None:
        """Make mount, policy, token role and the function's login."""
        self.send("POST", "sys/mounts/secret", _json("mounts/secret.json"))
        self.send("POST", "sys/auth/approle", _json("auth/approle.json"))
        policy = (_FILES / "policies/function.hcl").read_text()
        self.send("PUT", "sys/policies/acl/function", {"policy": policy})
        self.send("POST", "auth/token/roles/tenant", _json("token-roles/tenant.json"))
        role = _json("functions.json")["approle"] | {"token_policies": ["function"]}
        self.send("POST", f"auth/approle/role/{_FUNCTION}", role)
        role_id = self.send("GET", f"auth/approle/role/{_FUNCTION}/role-id")["data"]["role_id"]
        secret_id = self.send("POST", f"auth/approle/role/{_FUNCTION}/secret-id", {})["data"]["secret_id"]
        self.role_id_file.write_text(role_id)
        self.secret_id_file.write_text(secret_id)

    def admit(self, tenant_id: TenantId) -> None:
        """Write a tenant's policy, as provisioning does."""
        self.send("PUT", f"sys/policies/acl/tenant-{tenant_id}", {"policy": tenant_policy(tenant_id)})

    def secret(self, tenant_id: TenantId, exchange: str, version: int | None = None) -> dict[str, str] | None:
        """Return the key stored at `exchanges/<exchange>`; None when there is nothing, or no more."""
        query = "" if version is None else f"?version={version}"
        found = self.send("GET", f"secret/data/tenants/{tenant_id}/exchanges/{exchange}{query}")
        data: dict[str, str] | None = found.get("data", {}).get("data")
        # Whose row it is has a test of its own.
        return data and {name: value for name, value in data.items() if name != "credential_id"}

    def versions(self, tenant_id: TenantId, exchange: str) -> list[int]:
        """Return the versions that are not destroyed."""
        found = self.send("GET", f"secret/metadata/tenants/{tenant_id}/exchanges/{exchange}")
        versions = found.get("data", {}).get("versions", {})
        return sorted(int(number) for number, version in versions.items() if not version["destroyed"])

    def write(self, tenant_id: TenantId, exchange: str, data: dict[str, str]) -> None:
        """Write a version, as another process would."""
        self.send("POST", f"secret/data/tenants/{tenant_id}/exchanges/{exchange}", {"data": data})

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request with the administrator's token; 404 is an answer without data."""
        answer = httpx.request(
            method,
            f"{self.store.url}/v1/{path}",
            json=body,
            headers={"X-Vault-Token": self.store.root_token},
            trust_env=False,
        )
        if answer.status_code != 404:
            answer.raise_for_status()
        document: dict[str, Any] = answer.json() if answer.content else {}
        return document if isinstance(document.get("data"), dict) or answer.status_code != 404 else {}


def _json(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_FILES / name).read_text())
    return document
