"""The payment service Stripe, through its own SDK.

Every request that makes something carries an idempotency key derived from the tenant and the caller's
attempt, so a repeated request gives the first answer. Stripe keeps an answer for a day, a 500 too: a
key whose answer is a kept 500 is used up, and the next one is taken only when what it was to make is
not there.

Loading the SDK takes 150 ms, so nobody imports this before the first request that needs it.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any, NoReturn

import stripe
import structlog

from alphapulse.billing.provider import BillingRefused, BillingUnavailable, Customer, Subscription
from alphapulse.billing.stripe_transport import StripeTransport
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tenant import TenantId

# What the SDK's types describe; a newer SDK changes nothing before this is changed with it.
API_VERSION = "2026-10-28.endive"
TRIAL_DAYS = 14

_TIMEOUT_SECONDS = 10.0
_NETWORK_RETRIES = 2
_KEYS_PER_ATTEMPT = 3
_PAGE = 100
_NOT_FOUND = 404
_SERVER_ERROR = 500
_STATUSES = {
    "incomplete": "incomplete",
    "incomplete_expired": "cancelled",
    "trialing": "trialing",
    "active": "active",
    "past_due": "past_due",
    "unpaid": "unpaid",
    "paused": "unpaid",
    "canceled": "cancelled",
}

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class StripeBilling:
    """A `BillingProvider`; see there for the methods.

    Parameters
    ----------
    api_key
        A secret or restricted key; with rights on customers and subscriptions.
    prices
        Price id by tier. A tier without one gets no subscription here.
    api_base
        Another address than Stripe's.
    """

    def __init__(
        self, api_key: str, *, prices: Mapping[Tier, str] | None = None, api_base: str | None = None
    ) -> None:
        self._prices = dict(prices or {})
        self._http = StripeTransport(api_base, timeout_seconds=_TIMEOUT_SECONDS)
        self._client = stripe.StripeClient(
            api_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_base} if api_base else None,
            max_network_retries=_NETWORK_RETRIES,
            http_client=self._http,
        )

    async def create_customer(
        self, tenant_id: TenantId, *, email: str, company: str, tier: Tier, attempt: str
    ) -> str:
        """Make the tenant a customer and return the customer's id."""
        for number in range(_KEYS_PER_ATTEMPT):
            try:
                customer = await self._client.v1.customers.create_async(
                    {
                        "email": email,
                        "name": company,
                        "metadata": {"tenant_id": str(tenant_id), "tier": tier.value, "attempt": attempt},
                    },
                    {"idempotency_key": f"customer:{tenant_id}:{attempt}:{number}"},
                )
            except stripe.StripeError as error:
                if not _is_kept_failure(error):
                    _raise(error)
                made = await self._customers_of(tenant_id, email=email, attempt=attempt)
                if made:
                    return made[0].id
            else:
                return customer.id
        raise BillingUnavailable("it repeats an internal error")

    async def customer(self, customer_id: str) -> Customer | None:
        """Return a customer; None when there is none or it was deleted."""
        try:
            customer = await self._client.v1.customers.retrieve_async(customer_id)
        except stripe.StripeError as error:
            if error.http_status == _NOT_FOUND:
                return None
            _raise(error)
        return None if getattr(customer, "deleted", False) else _customer(customer)

    async def customers_of(self, tenant_id: TenantId, *, email: str) -> list[Customer]:
        """Return the customers that carry the tenant's id among those with this address."""
        return await self._customers_of(tenant_id, email=email)

    async def delete_customer(self, customer_id: str) -> None:
        """Delete a customer and end its subscriptions at once; one that is not there is no error."""
        try:
            await self._client.v1.customers.delete_async(customer_id)
        except stripe.StripeError as error:
            if error.http_status != _NOT_FOUND:
                _raise(error)

    async def start_trial(
        self, customer_id: str, *, tenant_id: TenantId, tier: Tier, attempt: str
    ) -> Subscription | None:
        """Subscribe a customer to its tier with a trial; None when the tier has no configured price."""
        price = self._prices.get(tier)
        if price is None:
            return None
        for number in range(_KEYS_PER_ATTEMPT):
            try:
                subscription = await self._client.v1.subscriptions.create_async(
                    {
                        "customer": customer_id,
                        "items": [{"price": price}],
                        "trial_period_days": TRIAL_DAYS,
                        # Without a card the first invoice stays open, and the grace period begins.
                        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
                        "metadata": {"tenant_id": str(tenant_id), "tier": tier.value, "attempt": attempt},
                    },
                    {"idempotency_key": f"trial:{tenant_id}:{attempt}:{number}"},
                )
            except stripe.StripeError as error:
                if not _is_kept_failure(error):
                    _raise(error)
                made = await self._trial_of(customer_id, attempt=attempt)
                if made is not None:
                    return made
            else:
                return _subscription(subscription)
        raise BillingUnavailable("it repeats an internal error")

    async def close(self) -> None:
        """Close connections."""
        await self._http.close_async()

    async def _customers_of(
        self, tenant_id: TenantId, *, email: str, attempt: str | None = None
    ) -> list[Customer]:
        # Stripe's search knows metadata and lags behind by up to a minute; a list by address does not.
        try:
            page = await self._client.v1.customers.list_async({"email": email, "limit": _PAGE})
            found = [customer async for customer in page.auto_paging_iter()]
        except stripe.StripeError as error:
            _raise(error)
        return [
            _customer(customer)
            for customer in found
            if _metadata(customer).get("tenant_id") == str(tenant_id)
            and attempt in (None, _metadata(customer).get("attempt"))
        ]

    async def _trial_of(self, customer_id: str, *, attempt: str) -> Subscription | None:
        try:
            page = await self._client.v1.subscriptions.list_async({"customer": customer_id, "limit": _PAGE})
        except stripe.StripeError as error:
            _raise(error)
        return next((_subscription(s) for s in page.data if _metadata(s).get("attempt") == attempt), None)


def _raise(error: stripe.StripeError) -> NoReturn:
    # The SDK's own text may show the customer: it stays behind.
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        # Not the request's fault: it goes through once the operator has set the right key.
        logger.error("stripe_refuses_the_key", status=error.http_status, request_id=error.request_id)
        raise BillingUnavailable("it refuses our key", retry_after_seconds=30) from error
    if isinstance(error, stripe.RateLimitError):
        raise BillingUnavailable("too many requests") from error
    if isinstance(error, stripe.InvalidRequestError | stripe.CardError | stripe.IdempotencyError):
        if error.code == "idempotency_key_in_use":
            raise BillingUnavailable("the same request is under way") from error
        raise BillingRefused(error.code or type(error).__name__) from error
    raise BillingUnavailable(type(error).__name__) from error


def _is_kept_failure(error: stripe.StripeError) -> bool:
    replayed = {name.lower(): value for name, value in (error.headers or {}).items()}
    return (error.http_status or 0) >= _SERVER_ERROR and replayed.get("idempotent-replayed") == "true"


def _metadata(found: Any) -> Mapping[str, str]:
    metadata: Mapping[str, str] = found.metadata.to_dict() if found.metadata else {}
    return metadata


def _customer(customer: stripe.Customer) -> Customer:
    tenant = _metadata(customer).get("tenant_id")
    return Customer(
        id=customer.id,
        tenant_id=uuid.UUID(tenant) if tenant else None,
        email=customer.email or "",
        company=customer.name or "",
        created_at=_time(customer.created),
    )


def _subscription(subscription: stripe.Subscription) -> Subscription:
    item = subscription["items"].data[0]  # as an attribute it would be a dictionary's method
    return Subscription(
        id=subscription.id,
        customer_id=str(subscription.customer),
        status=_STATUSES[subscription.status],
        price_id=item.price.id,
        trial_ends_at=None if subscription.trial_end is None else _time(subscription.trial_end),
        current_period_start=_time(item.current_period_start),
        current_period_end=_time(item.current_period_end),
    )


def _time(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
