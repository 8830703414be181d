"""Password hashing: argon2id, off the event loop."""

import asyncio
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # noqa: PLC0415 - only sign-up and login pay for it

    return PasswordHasher()


@cache
def _hash_of_nothing() -> str:
    """Return a hash to verify against when there is no user, so that both cases take as long."""
    return _hasher().hash("no user has this password")


async def hash_password(password: str) -> str:
    """Return the encoded argon2id hash of a password."""
    return await asyncio.to_thread(lambda: _hasher().hash(password))


async def verify_password(encoded: str | None, password: str) -> bool:
    """Tell whether the password fits; None stands for an unknown user and takes equally long."""
    return await asyncio.to_thread(_verify, encoded, password)


def _verify(encoded: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    try:
        _hasher().verify(encoded or _hash_of_nothing(), password)
    except (VerificationError, InvalidHashError):
        return False
    return encoded is not None
