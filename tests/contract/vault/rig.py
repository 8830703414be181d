"""A server of secrets under test, set up from the repository's files, and ways to speak to it."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hvac.exceptions
import requests
from hvac.adapters import JSONAdapter

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault import AppRoleLogin, VaultConnection, VaultServer
from alphapulse.tenancy.vault.bootstrap import apply, write_credentials
from alphapulse.tenancy.vault.configuration import entries, functions
from alphapulse.tenancy.vault.paths import tenant_policy_name
from alphapulse.tenancy.vault.platform import tenant_policy
from alphapulse.tenancy.vault.transport import blocking

FILES = Path(__file__).resolve().parents[3] / "knative/platform/vault"
_TRIES_EVERY_SECONDS = 0.05


@dataclass
class Rig:
    """One server."""

    kind: str
    address: str
    root_token: str
    credentials: Path
    session: requests.Session = field(default_factory=requests.Session)

    def set_up(self) -> None:
        """Apply the files and get a login for every function."""

        def work(adapter: Any) -> None:
            apply(adapter, entries(FILES, methods=["approle"]))
            write_credentials(adapter, functions(FILES), self.credentials)

        blocking(VaultServer(self.address), self.root_token, work, what="set up")

    def login(self, function: str) -> AppRoleLogin:
        """Return the login of a function."""
        folder = self.credentials / f"vault-{function}"
        return AppRoleLogin(folder / "role-id", folder / "secret-id")

    @contextlib.asynccontextmanager
    async def connection(
        self, function: str, *, clock: Callable[[], float] = time.monotonic
    ) -> AsyncIterator[VaultConnection]:
        """Connect as a function."""
        connection = VaultConnection(VaultServer(self.address), self.login(function), clock=clock)
        try:
            yield connection
        finally:
            await connection.close()

    async def new_tenant(self) -> TenantId:
        """Make a tenant: its policy is all that is needed."""
        tenant_id = TenantId.new()
        body = {"policy": tenant_policy(tenant_id)}
        assert self.ask("PUT", f"sys/policies/acl/{tenant_policy_name(tenant_id)}", body)[0] in (200, 204)
        return tenant_id

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        """Send one request and return (status, document); the root token unless another one is given."""
        adapter = JSONAdapter(
            base_uri=self.address,
            token=self.root_token if token is None else token,
            session=self.session,
            allow_redirects=False,
        )
        try:
            answer = adapter.request(method, f"/v1/{path}", json=body)
        except hvac.exceptions.VaultError as error:
            return _STATUS.get(type(error), 0), error.json
        if isinstance(answer, dict):
            return 200, answer
        return int(answer.status_code), None

    def token(self, policy: str, *, ttl: str = "10m", kind: str = "service") -> str:
        """Write a policy of its own name and return a token that holds only this one."""
        name = f"test-{TenantId.new()}"
        assert self.ask("PUT", f"sys/policies/acl/{name}", {"policy": policy})[0] in (200, 204)
        body = {"policies": [name], "ttl": ttl, "type": kind, "no_default_policy": True}
        status, answer = self.ask("POST", "auth/token/create", body)
        assert status == 200
        return str(answer["auth"]["client_token"])

    def function_token(self, function: str) -> str:
        """Log a function in and return its token."""
        login = self.login(function)
        body = {"role_id": login.role_id_file.read_text(), "secret_id": login.secret_id_file.read_text()}
        status, answer = self.ask("POST", "auth/approle/login", body, token="")
        assert status == 200
        return str(answer["auth"]["client_token"])

    def tenant_token(self, tenant_id: TenantId) -> str:
        """Return a tenant's token as a function mints it."""
        body = {"policies": [f"tenant-{tenant_id}"], "ttl": "300s"}
        status, answer = self.ask(
            "POST", "auth/token/create/tenant", body, token=self.function_token("credentials")
        )
        assert status == 200
        return str(answer["auth"]["client_token"])


_STATUS: dict[type[Exception], int] = {
    hvac.exceptions.InvalidRequest: 400,
    hvac.exceptions.Forbidden: 403,
    hvac.exceptions.InvalidPath: 404,
    hvac.exceptions.UnexpectedError: 405,
    hvac.exceptions.InternalServerError: 500,
}


def eventually(holds: Callable[[], bool], *, within_seconds: float = 15) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(_TRIES_EVERY_SECONDS)
