"""Start and stop one server process, in its own session, with its output in a file."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

# Redis Cluster listens 10,000 above each port; those fit below the kernel's range too.
_FIRST_PORT, _PORTS = 12_000, 10_000
_handed_out: set[int] = set()


class ServerDidNotStart(RuntimeError):
    """An embedded server exited or stayed silent; the message carries the end of its log."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago; never the same one twice.

    From below the range the kernel takes ports of connections from: a server that is killed and
    started again on its port must not find it taken by somebody's connection or random server.
    """
    while True:
        port = _FIRST_PORT + secrets.randbelow(_PORTS)
        if port in _handed_out:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def log_tail(path: Path, *, lines: int = 15) -> str:
    """Return the last lines of a log file, or an empty string."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    user: int | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` detached from the terminal, appending its output to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment) if environment is not None else None,
            cwd=cwd,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user is not None else None,
        )


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    *,
    log: Path,
    name: str,
    timeout_seconds: float,
) -> None:
    """Poll `ready` until it holds.

    Raises
    ------
    ServerDidNotStart
        The process ended, or `timeout_seconds` passed.
    """
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if process.poll() is not None:
            raise ServerDidNotStart(f"{name} exited with status {process.returncode}:\n{log_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerDidNotStart(f"{name} did not answer within {timeout_seconds:g} s:\n{log_tail(log)}")
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes], *, how: int = signal.SIGTERM, timeout_seconds: float = 10) -> None:
    """Signal a process and wait for its end; kill it when it does not follow."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, how)
    try:
        process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout_seconds)
