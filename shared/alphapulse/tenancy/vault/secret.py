"""A secret as it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class VaultSecret:
    """The data of one version.

    Attributes
    ----------
    data
        Name to value; left out of `repr`, so that no log or traceback shows it.
    version
        Counted by Vault from 1.
    stale
        Vault did not answer: this is the last value it gave, at most one hour old.
    """

    data: Mapping[str, str] = field(repr=False)
    version: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class SecretVersions:
    """Which versions of a secret there are.

    Attributes
    ----------
    newest
        What a writer's `cas` must name; 0 when there has been none. It may be destroyed.
    kept
        Those that are not destroyed, oldest first.
    """

    newest: int
    kept: tuple[int, ...]
