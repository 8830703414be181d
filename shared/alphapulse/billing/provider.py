"""What the platform asks of a payment service: one small protocol, and the ways it can fail.

    BillingError
    +-- BillingRefused       the service answered no; the same request will be refused again
    `-- BillingUnavailable   no answer, an error of the service, too many requests, or our key does not
                             let us in: the same request may work later and, having an idempotency key,
                             has its effect at most once

The texts hold no secret and nothing of the customer.
"""

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tenant import TenantId


class BillingError(Exception):
    """Root of what a payment service can answer instead of doing it."""


class BillingRefused(BillingError):
    """The service refused the request for good.

    Attributes
    ----------
    code : str
        The service's own word for the reason.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the payment service refuses the request: {code}")
        self.code = code


class BillingUnavailable(BillingError):
    """The service cannot be asked at the moment.

    Attributes
    ----------
    retry_after_seconds : int
        When trying again makes sense.
    """

    def __init__(self, reason: str, *, retry_after_seconds: int = 5) -> None:
        super().__init__(f"the payment service is not available: {reason}")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A tenant as the payment service knows it; `tenant_id` is None on one that is not ours."""

    id: str
    tenant_id: uuid.UUID | None
    email: str = field(repr=False)
    company: str = field(repr=False)
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a customer pays for; `status` is one of the column `subscriptions.status`."""

    id: str
    customer_id: str
    status: str
    price_id: str
    trial_ends_at: dt.datetime | None
    current_period_start: dt.datetime
    current_period_end: dt.datetime


class BillingProvider(Protocol):
    """A payment service. Every method raises `BillingRefused` or `BillingUnavailable`."""

    async def create_customer(
        self, tenant_id: TenantId, *, email: str, company: str, tier: Tier, attempt: str
    ) -> str:
        """Make the tenant a customer and return the customer's id.

        Within a day, the same `attempt` gets the same customer however often it asks, also when an
        answer was lost. Begin a new attempt (the id of a new run) after the customer was deleted.
        """

    async def customer(self, customer_id: str) -> Customer | None:
        """Return a customer; None when there is none or it was deleted."""

    async def customers_of(self, tenant_id: TenantId, *, email: str) -> list[Customer]:
        """Return the customers that carry the tenant's id among those with this address.

        For undoing what may have been done without its id being recorded.
        """

    async def delete_customer(self, customer_id: str) -> None:
        """Delete a customer and end its subscriptions at once; one that is not there is no error."""

    async def start_trial(
        self, customer_id: str, *, tenant_id: TenantId, tier: Tier, attempt: str
    ) -> Subscription | None:
        """Subscribe a customer to its tier with a trial; None when the tier has no configured price.

        `attempt` as in `create_customer`.
        """

    async def close(self) -> None:
        """Close connections."""
