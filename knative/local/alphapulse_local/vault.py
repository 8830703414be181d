"""Vault as functions find it: the server `VAULT_ADDR` names, one of our own, or its stand-in."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alphapulse_local.children import Children
from alphapulse_local.embedded.process import ServerDidNotStart, free_port
from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from alphapulse_local.embedded.vault_server import EmbeddedVault, vault_binary
from alphapulse_local.launch import Reporter
from alphapulse_local.manifests import ManifestError, Manifests
from alphapulse_local.servers import EmbeddedServer, Supervisor
from alphapulse_local.state import StateDirectory

FILES = Path("knative/platform/vault")
_SECRET_PREFIX = "vault-"  # noqa: S105 - the start of the names of Secrets, not one
# What a real server's clients are told by the environment; passed on to the functions.
_CLIENT_VARIABLES = ("VAULT_CACERT", "VAULT_NAMESPACE")


class Vault:
    """Starts the server, makes it hold what the files say, and logs functions in by their AppRoles.

    Only functions whose manifest mounts `vault-<function>` get a login; without any, nothing is started.

    Parameters
    ----------
    environment
        `VAULT_ADDR` (with `VAULT_TOKEN` of an administrator, for the set-up) names a server; `BAO=1` asks
        for the OpenBao or Vault program on PATH or in `.tools/bin`. Neither: the development store.
    """

    def __init__(
        self,
        root: Path,
        state: StateDirectory,
        environment: Mapping[str, str],
        *,
        manifests: Manifests,
        processes: Children,
        reporter: Reporter,
    ) -> None:
        self._files = root / FILES
        self._secrets = state.secrets
        self._environment = environment
        self._functions = _functions(manifests)
        self.supervisors: dict[str, Supervisor] = {}
        self._server: EmbeddedSecretStore | EmbeddedVault | None = None
        if self._functions and not environment.get("VAULT_ADDR"):
            self._server = _server(root, state, environment)
            server = EmbeddedServer(self._server.name, self._server, processes=processes)
            self.supervisors[server.name] = Supervisor(server, processes=processes, reporter=reporter)

    @property
    def address(self) -> str:
        """Where it answers; empty when no function needs it."""
        return self._environment.get("VAULT_ADDR") or (self._server.url if self._server is not None else "")

    def settings(self) -> dict[str, str]:
        """Return what belongs into the functions' ConfigMap."""
        passed_on = {} if self._server is not None else self._environment
        return {
            "VAULT_ADDR": self.address if self._functions else "",
            **{name: passed_on[name] for name in _CLIENT_VARIABLES if passed_on.get(name)},
        }

    def secret_directories(self) -> dict[str, Path]:
        """Return the Secrets `vault-<function>`, each a directory with `role-id` and `secret-id`."""
        return {_SECRET_PREFIX + name: self._secrets / (_SECRET_PREFIX + name) for name in self._functions}

    async def start(self) -> None:
        """Start the server and set it up."""
        for supervisor in self.supervisors.values():
            await supervisor.start()
        if self._functions:
            await asyncio.to_thread(self._set_up)

    async def stop(self) -> None:
        """Stop what was started; the secrets stay."""
        for supervisor in self.supervisors.values():
            await supervisor.stop()

    def notes(self) -> str:
        """Say what is not the real thing."""
        if not isinstance(self._server, EmbeddedSecretStore):
            return ""
        return "  secrets are in a development store, which is not Vault (VAULT_ADDR is not set)\n"

    def _set_up(self) -> None:
        from alphapulse.tenancy.vault import VaultError, VaultServer  # noqa: PLC0415 - while servers start
        from alphapulse.tenancy.vault.configuration import InvalidConfiguration  # noqa: PLC0415 - as above
        from alphapulse.tenancy.vault.transport import blocking  # noqa: PLC0415 - as above

        token = self._server.root_token if self._server is not None else self._environment.get("VAULT_TOKEN")
        if not token:
            raise ServerDidNotStart("VAULT_ADDR is set and VAULT_TOKEN, an administrator's, is not")
        cacert = self._environment.get("VAULT_CACERT") if self._server is None else None
        server = VaultServer(
            self.address,
            ca_file=Path(cacert) if cacert else None,
            namespace=self._environment.get("VAULT_NAMESPACE") if self._server is None else None,
        )
        try:
            blocking(server, token, self._apply, what="set up Vault")
        except (VaultError, InvalidConfiguration) as error:
            raise ServerDidNotStart(f"Vault cannot be set up: {error}") from error

    def _apply(self, adapter: Any) -> None:
        from alphapulse.tenancy.vault import bootstrap  # noqa: PLC0415 - while servers start
        from alphapulse.tenancy.vault.configuration import APPROLE, entries, functions  # noqa: PLC0415 - as above

        unknown = sorted(set(self._functions) - set(functions(self._files)))
        if unknown:
            raise ManifestError(f"{self._files / 'functions.json'} has no policies of {', '.join(unknown)}")
        bootstrap.apply(adapter, entries(self._files, methods=[APPROLE]))
        bootstrap.write_credentials(adapter, self._functions, self._secrets)


def _functions(manifests: Manifests) -> list[str]:
    """Return the functions whose manifest mounts a login to Vault.

    Raises
    ------
    ManifestError
        A function mounts the login of another one.
    """
    found = []
    for manifest in manifests.functions.values():
        for secret in manifest.secret_mounts.values():
            if not secret.startswith(_SECRET_PREFIX):
                continue
            if secret != _SECRET_PREFIX + manifest.name:
                raise ManifestError(f"{manifest.path}: {manifest.name} mounts {secret}, the login of another")
            found.append(manifest.name)
    return sorted(set(found))


def _server(
    root: Path, state: StateDirectory, environment: Mapping[str, str]
) -> EmbeddedSecretStore | EmbeddedVault:
    if environment.get("BAO", "0") in ("", "0"):
        return EmbeddedSecretStore(state.path / "secret-store", port=free_port())
    binary = vault_binary(root, environment.get("PATH", ""))
    if binary is None:
        raise ServerDidNotStart(
            "BAO=1, and there is no `bao` or `vault` in .tools/bin or on PATH: `make bao`"
        )
    return EmbeddedVault(state.path / "vault", binary=binary, port=free_port())
