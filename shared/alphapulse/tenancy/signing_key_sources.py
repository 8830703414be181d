"""Where signing keys are kept: in Vault, or in files where there is no Vault."""

import asyncio
import datetime as dt
import fcntl
from pathlib import Path
from typing import TYPE_CHECKING

from alphapulse.tenancy.signing_keys import (
    ALWAYS,
    PUBLISHED_AHEAD,
    KeySchedule,
    MalformedKeys,
    RotationUnderWay,
    SigningKey,
)
from alphapulse.tenancy.tokens import KeysUnavailable

if TYPE_CHECKING:
    from alphapulse.tenancy.vault.platform import PlatformVault
    from alphapulse.tenancy.vault.signing_keys import SigningKeys


class FileKeys:
    """A PEM file with the first key, and beside it, once they were rotated, `keys.json` with all.

    Parameters
    ----------
    key_file
        The PEM file, readable by `accounts` alone.
    """

    def __init__(self, key_file: Path) -> None:
        self._first = key_file
        self._all = key_file.with_name("keys.json")

    async def read(self) -> KeySchedule:
        """Return the keys; raises `KeysUnavailable`."""
        return await asyncio.to_thread(self.load)

    def load(self) -> KeySchedule:
        """Return the keys, read here and now; raises `KeysUnavailable`."""
        try:
            path = self._all if self._all.exists() else self._first
            return KeySchedule.parse(path.read_text("ascii"))
        except (OSError, MalformedKeys, UnicodeDecodeError) as error:
            raise KeysUnavailable(f"the signing keys cannot be read: {type(error).__name__}") from error

    async def rotate(self, now: dt.datetime, *, at_once: bool = False) -> KeySchedule:
        """Write a new key; raises `RotationUnderWay` and `KeysUnavailable`."""
        return await asyncio.to_thread(self._rotate, now, at_once)

    def _rotate(self, now: dt.datetime, at_once: bool) -> KeySchedule:  # noqa: FBT001 - through to_thread
        with self._all.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = KeySchedule.fresh() if at_once else self.load().rotated(now)
            written = self._all.with_suffix(".new")
            written.touch(mode=0o600)
            written.write_text(keys.document(), "ascii")
            written.replace(self._all)
        return keys


class VaultKeys:
    """The keys at `secret/platform/token-signing`, which only `accounts` may read.

    Parameters
    ----------
    vault
        With a login whose policy is `accounts`.
    """

    def __init__(self, vault: "PlatformVault") -> None:
        self._vault = vault

    async def read(self) -> KeySchedule:
        """Return the keys, made by the first call; raises `KeysUnavailable`."""
        from alphapulse.tenancy.vault.errors import VaultError  # noqa: PLC0415 - with Vault only

        try:
            return _schedule(await self._vault.signing_keys())
        except VaultError as error:
            raise KeysUnavailable(str(error)) from error

    async def rotate(self, now: dt.datetime, *, at_once: bool = False) -> KeySchedule:
        """Write a new key; raises `RotationUnderWay` and `KeysUnavailable`."""
        from alphapulse.tenancy.vault.errors import VaultError  # noqa: PLC0415 - as above

        try:
            stored = await self._vault.signing_keys()
            if at_once:
                # Vault keeps the key before the newest one; after two rotations both are new.
                stored = await self._vault.rotate_signing_key(stored)
            elif len(_schedule(stored).published(now)) > 1:
                raise RotationUnderWay("two keys are in use: the last rotation is not over")
            return _schedule(await self._vault.rotate_signing_key(stored))
        except VaultError as error:
            raise KeysUnavailable(str(error)) from error


def _schedule(stored: "SigningKeys") -> KeySchedule:
    current = stored.current.decode()
    if stored.previous is None:
        return KeySchedule((SigningKey(current, ALWAYS),))
    signs_from = stored.rotated_at + PUBLISHED_AHEAD
    return KeySchedule((SigningKey(stored.previous.decode(), ALWAYS), SigningKey(current, signs_from)))
