"""The identity that isolates one customer from another."""

import re
import uuid
from dataclasses import dataclass
from typing import Self

from uuid_utils.compat import uuid7

_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class TenantId:
    """A tenant's id; text made from it is safe inside SQL settings, Redis keys and Vault paths.

    Parameters
    ----------
    value
        Must be a `uuid.UUID` itself; text goes through :meth:`parse`.

    Raises
    ------
    TypeError
        `value` is anything but a `uuid.UUID`.
    """

    value: uuid.UUID

    def __post_init__(self) -> None:
        # asyncpg hands out a subclass of UUID; a subclass with a __str__ of its own would be a way
        # to bring foreign text into a statement, so only a plain UUID is kept.
        if not isinstance(self.value, uuid.UUID):
            raise TypeError(f"a tenant id must be a UUID, was {type(self.value).__name__}")
        if type(self.value) is not uuid.UUID:
            object.__setattr__(self, "value", uuid.UUID(int=int(self.value)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the canonical lower-case text form.

        Raises
        ------
        ValueError
            The text is not 8-4-4-4-12 lower-case hexadecimal digits.
        """
        if _CANONICAL.fullmatch(text) is None:
            raise ValueError("a tenant id must be a UUID in canonical lower-case form")
        return cls(uuid.UUID(text))

    @classmethod
    def new(cls) -> Self:
        """Return a fresh time-ordered id."""
        return cls(uuid7())

    def __str__(self) -> str:
        return str(self.value)
