"""The store as a process of its own."""

import os
import sys

from alphapulse_local.embedded.local_server import LocalServer


class EmbeddedSecretStore(LocalServer):
    """One development store on 127.0.0.1; nothing in its directory is encrypted.

    Parameters are those of `LocalServer`.
    """

    name = "secret-store"

    @property
    def url(self) -> str:
        """Address for `VAULT_ADDR`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def root_token(self) -> str:
        """The administrator's token, made at the first start."""
        return (self.directory / "root-token").read_text()

    def start(self, *, timeout_seconds: float = 20) -> None:
        """Start it and return when it answers."""
        self._prepare()
        command = [sys.executable, "-m", "alphapulse_local.embedded.secret_store"]
        self._launch(
            [*command, "--directory", str(self.directory), "--port", str(self.port)],
            environment={"PATH": os.environ.get("PATH", ""), "PYTHONUNBUFFERED": "1"},
        )
        self._until(lambda: self._answers_ok("/v1/sys/health"), timeout_seconds)
