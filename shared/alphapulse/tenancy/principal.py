"""Who makes a request, and what they may do."""

import enum
import uuid
from dataclasses import dataclass, field

from alphapulse.tenancy.tenant import TenantId


class Role(enum.StrEnum):
    """A user's role inside a tenant."""

    OWNER = "owner"
    TRADER = "trader"
    VIEWER = "viewer"
    PLATFORM_ADMIN = "platform_admin"


class Tier(enum.StrEnum):
    """What a tenant has subscribed to."""

    STARTER = "starter"
    PRO = "pro"
    ENTERPRISE = "enterprise"


_TRADING_ROLES = frozenset({Role.OWNER, Role.TRADER})


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user, or an API key of one, acting for one tenant.

    Attributes
    ----------
    session_id
        The login; of an API key, the key's own id.
    api_key_id
        The API key the request was made with, None for a login.
    scopes
        What an API key is restricted to; empty means everything its role may do.
    csrf_hash
        Hash of the CSRF token of a browser's login, None for other logins.
    """

    tenant_id: TenantId
    user_id: uuid.UUID
    role: Role
    tier: Tier
    session_id: uuid.UUID
    api_key_id: uuid.UUID | None = None
    scopes: frozenset[str] = frozenset()
    csrf_hash: str | None = field(default=None, repr=False, compare=False)

    @property
    def may_change(self) -> bool:
        """True for roles that may trade and change settings; a viewer only reads."""
        return self.role in _TRADING_ROLES
