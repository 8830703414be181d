"""The state directory of a platform (`.local/`): data, logs, secrets, and who runs on it."""

import fcntl
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECRET_BYTES = 32


class AlreadyRunning(RuntimeError):
    """Another platform holds the state directory."""


class StateDirectory:
    """Paths below one directory, private to its owner.

    Parameters
    ----------
    path
        Created when missing, mode 0700.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.run = self.path / "run"
        self.secrets = self.path / "secrets"
        self._lock: int | None = None

    @property
    def platform_file(self) -> Path:
        """Where a running platform says its process id and addresses."""
        return self.path / "platform.json"

    def create(self) -> None:
        """Create the directories."""
        for directory in (self.path, self.logs, self.run, self.secrets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)

    def lock(self) -> None:
        """Take the directory for this process; the lock ends with the process, however it ends.

        Raises
        ------
        AlreadyRunning
            Another platform holds it; the message says where it answers.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            running = self.running() or {}
            raise AlreadyRunning(
                f"a platform already runs on {self.path} "
                f"(process {running.get('pid', 'unknown')}, {running.get('url', 'still starting')})"
            ) from error
        self._lock = descriptor
        # One that was killed could not withdraw what it had announced.
        self.platform_file.unlink(missing_ok=True)

    def locked(self) -> bool:
        """Tell whether a platform runs on this directory now."""
        lock = self.path / "lock"
        if not lock.exists():
            return False
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def running(self) -> dict[str, Any] | None:
        """Return what the running platform wrote about itself; None when there is none."""
        if not self.locked():
            return None
        try:
            document: dict[str, Any] = json.loads(self.platform_file.read_text())
        except (OSError, ValueError):
            return {}
        return document

    def announce(self, document: dict[str, Any]) -> None:
        """Write what other commands need to find this platform."""
        partial = self.platform_file.with_suffix(".part")
        partial.write_text(json.dumps(document))
        partial.replace(self.platform_file)

    def withdraw(self) -> None:
        """Remove the announcement and give the directory free."""
        self.platform_file.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self, name: str, *, make: Callable[[], str] | None = None) -> str:
        """Return a secret, made up at first use and kept in a file only its owner can read."""
        path = self.secrets / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            value = make() if make is not None else secrets.token_urlsafe(_SECRET_BYTES)
            partial = path.with_name(path.name + ".part")
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(value)
            partial.replace(path)
        return path.read_text()


def new_signing_key() -> str:
    """Return a new private key for ES256 as PEM (PKCS 8)."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - first start only
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - first start only

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
