"""The keys access tokens are signed with, and their rotation.

A new key is published before it signs, so that everybody who verifies tokens knows it by then; the
key before it stays published until the last token it signed has expired. So there are two keys
while a rotation goes on, and nobody is locked out at either end of it.
"""

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

from alphapulse.tenancy.tokens import KEYS_REFETCHED_AFTER, KeysUnavailable, TokenSigner

#: Longest life of an access token.
ACCESS_TOKEN_LIFETIME: Final = dt.timedelta(minutes=15)
#: How long a key is published before it signs: everybody has asked for the keys at least once by then.
PUBLISHED_AHEAD: Final = 2 * KEYS_REFETCHED_AFTER
_KEPT_AFTER = ACCESS_TOKEN_LIFETIME + dt.timedelta(minutes=1)
_RELOADED_AFTER = dt.timedelta(seconds=30)
_MOST_KEYS = 2
#: Start of a key that has always signed.
ALWAYS: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class MalformedKeys(ValueError):
    """The stored document holds no usable signing keys; the message never shows it."""


class RotationUnderWay(Exception):
    """The rotation before this one is not over: its older key may still be needed."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the time from which it signs."""

    pem: str = field(repr=False)
    signs_from: dt.datetime


@dataclass(frozen=True, slots=True)
class KeySchedule:
    """Which key signs when: at least one key, oldest first."""

    keys: tuple[SigningKey, ...]

    @classmethod
    def parse(cls, document: str) -> Self:
        """Read a stored document: JSON, or the PEM of a single key.

        Raises
        ------
        MalformedKeys
            It is neither.
        """
        if document.lstrip().startswith("-----BEGIN"):
            return cls((SigningKey(document, ALWAYS),))
        try:
            keys = [_key(each) for each in json.loads(document)["keys"]]
        except (ValueError, TypeError, KeyError) as error:
            raise MalformedKeys("the document of signing keys is malformed") from error
        if not keys:
            raise MalformedKeys("the document of signing keys is empty")
        return cls(tuple(sorted(keys, key=lambda key: key.signs_from)))

    @classmethod
    def fresh(cls) -> Self:
        """Return one new key that signs at once."""
        return cls((SigningKey(new_pem(), ALWAYS),))

    def document(self) -> str:
        """Return the document to store."""
        keys = [{"pem": key.pem, "signs_from": key.signs_from.isoformat()} for key in self.keys]
        return json.dumps({"keys": keys})

    def current(self, now: dt.datetime) -> SigningKey:
        """Return the key that signs now."""
        begun = [key for key in self.keys if key.signs_from <= now]
        return begun[-1] if begun else self.keys[0]

    def published(self, now: dt.datetime) -> tuple[SigningKey, ...]:
        """Return the keys that a valid token may have been signed with, or soon will be."""
        successors = [*self.keys[1:], None]
        return tuple(
            key
            for key, successor in zip(self.keys, successors, strict=True)
            if successor is None or successor.signs_from + _KEPT_AFTER > now
        )

    def rotated(self, now: dt.datetime) -> Self:
        """Return the keys with a new one, which signs once everybody knows it.

        Raises
        ------
        RotationUnderWay
            Two keys are in use already.
        """
        published = self.published(now)
        if len(published) >= _MOST_KEYS:
            raise RotationUnderWay("two keys are in use: the last rotation is not over")
        return type(self)((*published, SigningKey(new_pem(), now + PUBLISHED_AHEAD)))


class SigningKeySource(Protocol):
    """Where the keys are kept."""

    async def read(self) -> KeySchedule:
        """Return the keys.

        Raises
        ------
        alphapulse.tenancy.tokens.KeysUnavailable
            There are none, or the source does not answer.
        """

    async def rotate(self, now: dt.datetime, *, at_once: bool = False) -> KeySchedule:
        """Store a new key and return all.

        Parameters
        ----------
        now
            The time.
        at_once
            The old key is known to others: it is dropped, and with it every access token. Refresh
            tokens are no JWTs and go on working.

        Raises
        ------
        RotationUnderWay
            Two keys are in use already, and not `at_once`.
        alphapulse.tenancy.tokens.KeysUnavailable
            As `read`.
        """


class KeyRing:
    """The keys as `accounts` uses them: read again now and then, so that a rotation needs no restart.

    Parameters
    ----------
    source
        Where the keys are.
    clock
        Aware UTC now.
    """

    def __init__(self, source: SigningKeySource, *, clock: Callable[[], dt.datetime]) -> None:
        self._source = source
        self._clock = clock
        self._keys: KeySchedule | None = None
        self._read_at: dt.datetime | None = None
        self._reading = asyncio.Lock()
        self._signers: dict[str, TokenSigner] = {}

    async def signer(self) -> TokenSigner:
        """Return the signer of this moment.

        Raises
        ------
        alphapulse.tenancy.tokens.KeysUnavailable
            The keys have never been read and cannot be read now.
        """
        return self._signer((await self._current_keys()).current(self._clock()))

    async def jwks(self) -> dict[str, Any]:
        """Return the public halves of all published keys as a JWK Set; raises as `signer`."""
        published = (await self._current_keys()).published(self._clock())
        return {"keys": [jwk for key in published for jwk in self._signer(key).jwks["keys"]]}

    def use(self, keys: KeySchedule) -> None:
        """Use these keys until the source is read again.

        Raises
        ------
        ValueError
            One of them is no P-256 key.
        """
        now = self._clock()
        self._signers = {key.pem: TokenSigner(key.pem.encode()) for key in keys.published(now)}
        self._keys, self._read_at = keys, now

    async def _current_keys(self) -> KeySchedule:
        if self._is_old():
            async with self._reading:
                if self._is_old():
                    await self._read()
        if self._keys is None:
            raise KeysUnavailable("the signing keys cannot be read")
        return self._keys

    def _is_old(self) -> bool:
        return self._read_at is None or self._clock() - self._read_at >= _RELOADED_AFTER

    async def _read(self) -> None:
        try:
            self.use(await self._source.read())
        except (MalformedKeys, KeysUnavailable, OSError, ValueError) as error:
            if self._keys is None:
                raise KeysUnavailable(f"the signing keys cannot be read: {type(error).__name__}") from error
            # The keys at hand go on signing; whoever verifies knows them.
            self._read_at = self._clock()

    def _signer(self, key: SigningKey) -> TokenSigner:
        signer = self._signers.get(key.pem)
        if signer is None:
            signer = self._signers[key.pem] = TokenSigner(key.pem.encode())
        return signer


def new_pem() -> str:
    """Return a new P-256 private key."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - a rotation pays alone
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


def _key(stored: Any) -> SigningKey:
    pem, signs_from = stored["pem"], dt.datetime.fromisoformat(stored["signs_from"])
    if not isinstance(pem, str) or signs_from.tzinfo is None:
        raise TypeError("a key is its PEM and an aware time")
    return SigningKey(pem, signs_from)
