"""The steps of provisioning: their order, and the events that lead from one to the next."""

import datetime as dt
import enum
from typing import Final

from alphapulse.tenancy.principal import Tier


class Step(enum.StrEnum):
    """A step; the order of the members is the order of the saga."""

    DATABASE = "database"
    VAULT = "vault"
    CACHE = "cache"
    BILLING = "billing"
    VERIFY = "verify"
    ACTIVATE = "activate"

    @property
    def before(self) -> "Step | None":
        """The step that must be done first."""
        place = ORDER.index(self)
        return ORDER[place - 1] if place else None

    @property
    def asked_by(self) -> str:
        """`noun.verb` of the event the step acts on."""
        return REQUESTED if self.before is None else _DONE[self.before]

    @property
    def tells(self) -> str:
        """`noun.verb` of the event that says the step is done."""
        return _DONE[self]


ORDER: Final = tuple(Step)
REQUESTED: Final = "tenant.signup.requested"
FAILED: Final = "tenant.provisioning.failed"
DELETION_REQUESTED: Final = "tenant.deletion.requested"
DELETED: Final = "tenant.deleted"
_DONE: Final = {
    Step.DATABASE: "tenant.database.ready",
    Step.VAULT: "tenant.vault.ready",
    Step.CACHE: "tenant.cache.ready",
    Step.BILLING: "tenant.billing.ready",
    Step.VERIFY: "tenant.verified",
    Step.ACTIVATE: "tenant.activated",
}
#: By event: the step that acts on it.
ASKED: Final = {step.asked_by: step for step in ORDER}

#: How long provisioning may take before it is given up and undone.
DEADLINES: Final = {
    Tier.STARTER: dt.timedelta(minutes=2),
    Tier.PRO: dt.timedelta(minutes=2),
    Tier.ENTERPRISE: dt.timedelta(minutes=10),
}
#: How long a deletion may take before an operator should look.
DELETION_DEADLINE: Final = dt.timedelta(minutes=10)
#: A cancelled tenant's data stay readable for so long, then the sweep deletes it.
KEPT_AFTER_CANCELLATION: Final = dt.timedelta(days=30)


def moment_of(name: str) -> str:
    """Return the field of an event's data that says when it happened: `ready_at` of `tenant.vault.ready`."""
    return f"{name.rpartition('.')[2]}_at"
