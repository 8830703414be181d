"""Paths of secrets: made from a `TenantId` and checked parts, never from free text."""

import re
from collections.abc import Sequence

from alphapulse.tenancy.tenant import TenantId

MOUNT = "secret"
TENANTS = "tenants"
SIGNING_KEYS = "platform/token-signing"

# No slash, no dot at the start (so neither `.` nor `..`), no `*` or `+`, nothing to be percent-encoded.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


def tenant_root(tenant_id: TenantId) -> str:
    """Return the path of a tenant's subtree, without a slash at its end.

    Raises
    ------
    TypeError
        Anything but a `TenantId`.
    """
    if not isinstance(tenant_id, TenantId):
        raise TypeError(f"a tenant's path needs a TenantId, was {type(tenant_id).__name__}")
    return f"{TENANTS}/{tenant_id}"


def join(root: str, parts: Sequence[str]) -> str:
    """Return `root` and the parts below it.

    Raises
    ------
    ValueError
        A part is empty, longer than 64 characters, begins with a dot, or holds anything but letters,
        digits and `._-`.
    """
    for part in parts:
        if _PART.fullmatch(part) is None:
            raise ValueError(f"not a part of a secret's path: {part!r}")
    return "/".join((root, *parts))


def tenant_policy_name(tenant_id: TenantId) -> str:
    """Return the name of the policy that opens one tenant's subtree."""
    if not isinstance(tenant_id, TenantId):
        raise TypeError(f"a tenant's policy needs a TenantId, was {type(tenant_id).__name__}")
    return f"tenant-{tenant_id}"
