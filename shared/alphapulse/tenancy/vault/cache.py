"""Secrets a process has read: fresh for five minutes, kept for an hour in case Vault is unreachable."""

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog

from alphapulse.tenancy.flight import SingleFlight
from alphapulse.tenancy.vault.errors import VaultUnavailable
from alphapulse.tenancy.vault.secret import VaultSecret

FRESH_SECONDS = 300.0
STALE_SECONDS = 3600.0
# While Vault is down, a stale value is not paid for with a timeout each time.
_PAUSE_SECONDS = 2.0
_KEPT = 10_000

SecretKey = tuple[str, int | None]
Fetch = Callable[[], Awaitable[VaultSecret | None]]

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class _Entry:
    secret: VaultSecret
    read_at: float
    fresh_until: float
    ask_again_at: float = 0.0


class SecretCache:
    """Values by (path, version); version None is the newest.

    That a secret does not exist is never kept: the row of metadata in the database says so at less cost,
    and a key that has just been stored must be found.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[SecretKey, _Entry] = OrderedDict()
        self._reading: SingleFlight[SecretKey, VaultSecret | None] = SingleFlight()
        self._forgotten = 0

    async def read(self, key: SecretKey, fetch: Fetch) -> VaultSecret | None:
        """Return a fresh value, or fetch it; callers that want the same value share one fetch.

        Raises
        ------
        VaultUnavailable
            Vault does not answer and there is no value younger than an hour.
        """
        entry = self._entries.get(key)
        if entry is not None:
            now = self._clock()
            if now < entry.fresh_until:
                return entry.secret
            if now < entry.ask_again_at and now < entry.read_at + STALE_SECONDS:
                return dataclasses.replace(entry.secret, stale=True)
        return await self._reading.run(key, partial(self._fetched, key, fetch))

    def forget(self, path: str) -> None:
        """Drop all versions of a path, also those that are being read at this moment."""
        self._forgotten += 1
        for key in [key for key in self._entries if key[0] == path]:
            del self._entries[key]
        for key in self._reading.keys():  # noqa: SIM118 - a list of its own, no mapping
            if key[0] == path:
                self._reading.forget(key)

    def clear(self) -> None:
        """Drop everything."""
        self._forgotten += 1
        self._entries.clear()
        for key in self._reading.keys():  # noqa: SIM118 - as above
            self._reading.forget(key)

    async def _fetched(self, key: SecretKey, fetch: Fetch) -> VaultSecret | None:
        forgotten = self._forgotten
        try:
            secret = await fetch()
        except VaultUnavailable:
            return self._stale(key)
        except Exception:
            self._entries.pop(key, None)  # denied: what was readable once is so no longer
            raise
        # What was read before somebody said "forget" may be the old value.
        if forgotten == self._forgotten:
            self._keep(key, secret)
        return secret

    def _stale(self, key: SecretKey) -> VaultSecret:
        """Return the last value, marked; called while the failure of Vault is being handled."""
        entry, now = self._entries.get(key), self._clock()
        if entry is None or now >= entry.read_at + STALE_SECONDS:
            self._entries.pop(key, None)
            raise  # noqa: PLE0704 - the VaultUnavailable being handled
        entry.ask_again_at = now + _PAUSE_SECONDS
        logger.warning("vault_unavailable_stale_secret_used", age_seconds=round(now - entry.read_at))
        return dataclasses.replace(entry.secret, stale=True)

    def _keep(self, key: SecretKey, secret: VaultSecret | None) -> None:
        if secret is None:
            self._entries.pop(key, None)
            return
        now = self._clock()
        self._entries[key] = _Entry(secret, read_at=now, fresh_until=now + FRESH_SECONDS)
        self._entries.move_to_end(key)
        self._drop_outdated(now)

    def _drop_outdated(self, now: float) -> None:
        """Drop the oldest when there are too many, and those of no use to anybody any more."""
        while self._entries:
            key = next(iter(self._entries))
            if len(self._entries) <= _KEPT and now < self._entries[key].read_at + STALE_SECONDS:
                return
            del self._entries[key]
