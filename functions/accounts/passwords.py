"""Password hashing: argon2id, off the event loop, few at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from argon2 import PasswordHasher

#: Each hash takes 64 MiB while it is computed, and the function has 256 MiB.
AT_ONCE: Final = 2

T = TypeVar("T")


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")


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
    return await _in_turn(lambda: _hasher().hash(password))


async def verify_password(encoded: str | None, password: str) -> bool:
    """Tell whether the password fits; None stands for an unknown user and takes equally long."""
    return await _in_turn(lambda: _verify(encoded, password))


async def rehashed(encoded: str, password: str) -> str | None:
    """Return a new hash of a password that fits, if the old one was made with weaker parameters."""
    if not _hasher().check_needs_rehash(encoded):
        return None
    return await hash_password(password)


async def _in_turn(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads(), work)


def _verify(encoded: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    # Made for known addresses too: the first one after a start would tell itself by its time.
    nothing = _hash_of_nothing()
    try:
        _hasher().verify(encoded or nothing, password)
    except (VerificationError, InvalidHashError):
        return False
    return encoded is not None
