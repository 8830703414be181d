"""A real OpenBao or Vault as a process of its own, its data kept in a directory."""

import http.client
import json
import os
import shutil
from pathlib import Path
from typing import Any

from alphapulse_local.embedded.local_server import LocalServer, OnSpawn
from alphapulse_local.embedded.process import ServerDidNotStart, free_port

_PROGRAMS = ("bao", "vault")


def vault_binary(root: Path, path: str) -> Path | None:
    """Return `bao` or `vault` from `.tools/bin` or from PATH."""
    for program in _PROGRAMS:
        found = shutil.which(program, path=f"{root / '.tools' / 'bin'}{os.pathsep}{path}")
        if found is not None:
            return Path(found)
    return None


class EmbeddedVault(LocalServer):
    """One server on 127.0.0.1, for development: its only unseal key lies beside its data.

    Parameters
    ----------
    binary
        OpenBao's `bao` or HashiCorp's `vault`.
    directory, port, on_spawn
        As in `LocalServer`.
    """

    name = "vault"

    def __init__(
        self, directory: Path, *, binary: Path, port: int = 0, on_spawn: OnSpawn | None = None
    ) -> None:
        super().__init__(directory, port=port, on_spawn=on_spawn)
        self.binary = binary
        self._cluster_port = free_port()

    @property
    def url(self) -> str:
        """Address for `VAULT_ADDR`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def root_token(self) -> str:
        """The administrator's token, made at the first start."""
        return str(self._keys()["root_token"])

    def start(self, *, timeout_seconds: float = 60) -> None:
        """Start it, initialise it the first time, unseal it, and return when it serves secrets."""
        self._prepare()
        config = self._write_config()
        self._launch(
            [str(self.binary), "server", f"-config={config}"],
            environment={"PATH": os.environ.get("PATH", ""), "HOME": str(self.directory)},
        )
        self._until(self._listens, timeout_seconds)
        if not self._get("/v1/sys/init").get("initialized"):
            self._write_keys(self._put("/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1}))
        self._put("/v1/sys/unseal", {"key": self._keys()["keys"][0]})
        self._until(self._serves, timeout_seconds)

    def _write_config(self) -> Path:
        data = self.directory / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        config = {
            "storage": {
                "raft": {
                    "path": str(data),
                    "node_id": "laptop",
                    # Alone, it need not wait for others before it elects itself.
                    "performance_multiplier": "1",
                }
            },
            "listener": {"tcp": {"address": f"127.0.0.1:{self.port}", "tls_disable": True}},
            "api_addr": self.url,
            "cluster_addr": f"https://127.0.0.1:{self._cluster_port}",
            # Locked memory needs a right that a laptop's user does not have; OpenBao does without.
            "disable_mlock": True,
            "log_level": "warn",
        }
        path = self.directory / "config.json"
        path.write_text(json.dumps(config, indent=1))
        return path

    def _keys(self) -> dict[str, Any]:
        keys: dict[str, Any] = json.loads((self.directory / "keys.json").read_text())
        return keys

    def _write_keys(self, keys: dict[str, Any]) -> None:
        path = self.directory / "keys.json"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write(json.dumps(keys))

    def _listens(self) -> bool:
        try:
            self._get("/v1/sys/seal-status")
        except ServerDidNotStart:
            return False
        return True

    def _serves(self) -> bool:
        """Say whether it is unsealed and leads: 200 and nothing else."""
        return self._answers_ok("/v1/sys/health")

    def _get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path, None)

    def _put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._ask("PUT", path, json.dumps(body))

    def _ask(self, method: str, path: str, body: str | None) -> dict[str, Any]:
        connection = self._connection()
        try:
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            raw = answer.read()
            if answer.status != http.client.OK:
                raise ServerDidNotStart(f"{self.name} answers {answer.status} to {path}")
            document: dict[str, Any] = json.loads(raw)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServerDidNotStart(f"{self.name} does not answer on {self.url}: {error}") from error
        finally:
            connection.close()
        return document

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
