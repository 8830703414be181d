"""Who asks for an order: a user, or a tenant's own settings."""

import datetime as dt
import uuid
from dataclasses import dataclass

from alphapulse.runtime.work import Scope
from alphapulse.tenancy.principal import Tier
from functions.trade.refusals import RequestExpired


@dataclass(frozen=True, slots=True)
class Orderer:
    """Whose tier bounds an order, and which user asked for it; none when the tenant's settings did.

    What settings ask for may be committed before `until` only.
    """

    tier: Tier
    user_id: uuid.UUID | None
    until: dt.datetime | None = None

    @classmethod
    def of(cls, scope: Scope) -> "Orderer":
        """Return the user that made the request."""
        if scope.principal is None:
            raise RuntimeError("a tenant route has a principal")
        return cls(scope.principal.tier, scope.principal.user_id)

    def require_in_time(self, now: dt.datetime) -> None:
        """Refuse an order whose time is over.

        Raises
        ------
        RequestExpired
        """
        if self.until is not None and now >= self.until:
            raise RequestExpired(f"the order was to be placed before {self.until.isoformat()}")
