"""The private keys of access tokens, as they lie at `secret/platform/token-signing`."""

import datetime as dt
from dataclasses import dataclass, field

from alphapulse.tenancy.vault.errors import VaultError
from alphapulse.tenancy.vault.secret import VaultSecret


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What `accounts` signs with, and what it signed with before.

    Attributes
    ----------
    current
        PEM (PKCS 8) of a P-256 key; signs every new token.
    previous
        The key before it, None before the first rotation: tokens it signed hold until they expire.
    version
        Counted by Vault; grows with every rotation.
    rotated_at
        When `current` was made.
    """

    current: bytes = field(repr=False)
    previous: bytes | None = field(repr=False)
    version: int
    rotated_at: dt.datetime


def first() -> dict[str, str]:
    """Return the data of the first key."""
    return {"current": _new_key(), "previous": "", "rotated_at": _now()}


def next_after(keys: SigningKeys) -> dict[str, str]:
    """Return the data after a rotation."""
    return {"current": _new_key(), "previous": keys.current.decode(), "rotated_at": _now()}


def from_secret(secret: VaultSecret) -> SigningKeys:
    """Read the keys.

    Raises
    ------
    VaultError
        The secret holds no current key.
    """
    current = secret.data.get("current")
    if not current:
        raise VaultError("the secret of the signing keys holds no current key")
    previous = secret.data.get("previous")
    return SigningKeys(
        current=current.encode(),
        previous=previous.encode() if previous else None,
        version=secret.version,
        rotated_at=dt.datetime.fromisoformat(secret.data["rotated_at"]),
    )


def _new_key() -> str:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - first start and rotation
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as above

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
