"""Why a key is not stored, rotated or removed; beside `alphapulse.trading.credentials.checking`.

NotPermitted (403)
`-- OwnerOnly
Conflict (409)
+-- CredentialExists        rotate it instead
+-- CredentialChanged       somebody else was faster
+-- CredentialRevoked       it is being removed
`-- OpenOrders              they could not be followed any more
"""

from alphapulse.runtime.errors import Conflict, NotPermitted
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.principal import Role


class OwnerOnly(NotPermitted):
    """Only the tenant's owner changes keys."""

    code = "owner_only"


class CredentialExists(Conflict):
    """The tenant has credentials for the exchange."""

    code = "credential_exists"
    title = "Credentials exist"


class CredentialChanged(Conflict):
    """The credentials were changed while this request was under way."""

    code = "credential_changed"
    title = "Credentials changed"


class CredentialRevoked(Conflict):
    """The credentials are being removed."""

    code = "credential_revoked"
    title = "Credentials revoked"


class OpenOrders(Conflict):
    """Orders of the exchange have not ended."""

    code = "open_orders"
    title = "Open orders"


def require_owner(scope: Scope) -> None:
    """Refuse everybody but an owner.

    Raises
    ------
    OwnerOnly
        The caller has another role.
    """
    if scope.principal is None or scope.principal.role is not Role.OWNER:
        raise OwnerOnly("only the owner stores, rotates and removes exchange keys")
