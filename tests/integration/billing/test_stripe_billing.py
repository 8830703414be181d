"""Billing through Stripe's own SDK, against the simulation of Stripe."""

import asyncio
import datetime as dt
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import stripe
from stripe._api_version import _ApiVersion

from alphapulse.billing.provider import BillingRefused, BillingUnavailable
from alphapulse.billing.stripe_provider import API_VERSION, StripeBilling
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.stripe_simulator import EmbeddedStripe
from alphapulse_local.embedded.stripe_simulator.launcher import PRICES
from tests.stripe_faults import ask_for_fault

SIMULATED_PRICES = {Tier(tier): price for tier, price in PRICES.items()}
CUSTOMERS, SUBSCRIPTIONS = "/v1/customers", "/v1/subscriptions"


@pytest.fixture
async def billing(simulated_stripe: EmbeddedStripe) -> AsyncIterator[StripeBilling]:
    provider = StripeBilling(simulated_stripe.api_key, prices=SIMULATED_PRICES, api_base=simulated_stripe.url)
    yield provider
    await provider.close()


@pytest.fixture
def tenant_id() -> TenantId:
    return TenantId.new()


async def created(billing: StripeBilling, tenant_id: TenantId, *, attempt: str = "1") -> str:
    return await billing.create_customer(
        tenant_id, email=f"{tenant_id}@example.com", company="Café & Söhne", tier=Tier.PRO, attempt=attempt
    )


async def of(billing: StripeBilling, tenant_id: TenantId) -> list[str]:
    return [c.id for c in await billing.customers_of(tenant_id, email=f"{tenant_id}@example.com")]


async def test_a_customer_carries_its_tenant(billing: StripeBilling, tenant_id: TenantId) -> None:
    number = await created(billing, tenant_id)

    customer = await billing.customer(number)
    assert customer is not None
    assert (number, tenant_id.value) == (customer.id, customer.tenant_id)
    assert (f"{tenant_id}@example.com", "Café & Söhne") == (customer.email, customer.company)
    assert customer.created_at.tzinfo is dt.UTC


async def test_the_same_attempt_makes_one_customer_however_often(
    billing: StripeBilling, tenant_id: TenantId
) -> None:
    numbers = await asyncio.gather(*(created(billing, tenant_id) for _ in range(5)))

    assert len(set(numbers)) == 1
    assert numbers[:1] == await of(billing, tenant_id)


async def test_an_attempt_with_other_parameters_is_refused(
    billing: StripeBilling, tenant_id: TenantId
) -> None:
    await created(billing, tenant_id)

    with pytest.raises(BillingRefused):
        await billing.create_customer(
            tenant_id, email=f"{tenant_id}@example.com", company="Renamed", tier=Tier.PRO, attempt="1"
        )


async def test_after_a_deletion_a_new_attempt_makes_a_new_customer(
    billing: StripeBilling, tenant_id: TenantId
) -> None:
    first = await created(billing, tenant_id)
    await billing.delete_customer(first)
    second = await created(billing, tenant_id, attempt="2")

    assert first != second
    assert await billing.customer(first) is None
    assert [second] == await of(billing, tenant_id)


async def test_deleting_what_is_gone_or_never_was_is_no_error(
    billing: StripeBilling, tenant_id: TenantId
) -> None:
    number = await created(billing, tenant_id)

    for _ in range(2):
        await billing.delete_customer(number)
    await billing.delete_customer("cus_never")

    assert await billing.customer("cus_never") is None


async def test_customers_of_another_tenant_with_the_same_address_are_left_out(
    billing: StripeBilling, tenant_id: TenantId
) -> None:
    other = TenantId.new()
    own = await created(billing, tenant_id)
    for number in range(120):  # more than a page
        await billing.create_customer(
            other, email=f"{tenant_id}@example.com", company="Other", tier=Tier.PRO, attempt=str(number)
        )

    assert [own] == await of(billing, tenant_id)


async def test_a_trial_runs_for_a_fortnight_at_the_tiers_price(
    billing: StripeBilling, tenant_id: TenantId
) -> None:
    number = await created(billing, tenant_id)

    trial = await billing.start_trial(number, tenant_id=tenant_id, tier=Tier.PRO, attempt="1")
    again = await billing.start_trial(number, tenant_id=tenant_id, tier=Tier.PRO, attempt="1")

    assert trial is not None
    assert trial == again
    assert (trial.status, trial.customer_id, trial.price_id) == ("trialing", number, PRICES["pro"])
    assert trial.trial_ends_at == trial.current_period_end
    assert trial.current_period_end - trial.current_period_start == dt.timedelta(days=14)


async def test_without_a_price_there_is_no_subscription(
    simulated_stripe: EmbeddedStripe, tenant_id: TenantId
) -> None:
    billing = StripeBilling(simulated_stripe.api_key, api_base=simulated_stripe.url)
    number = await created(billing, tenant_id)

    assert await billing.start_trial(number, tenant_id=tenant_id, tier=Tier.PRO, attempt="1") is None
    await billing.close()


async def test_a_price_that_is_not_there_is_refused(
    simulated_stripe: EmbeddedStripe, tenant_id: TenantId
) -> None:
    billing = StripeBilling(
        simulated_stripe.api_key, prices={Tier.PRO: "price_gone"}, api_base=simulated_stripe.url
    )
    number = await created(billing, tenant_id)

    with pytest.raises(BillingRefused) as caught:
        await billing.start_trial(number, tenant_id=tenant_id, tier=Tier.PRO, attempt="1")

    assert caught.value.code == "resource_missing"
    await billing.close()


async def test_a_lost_answer_leaves_one_customer(
    simulated_stripe: EmbeddedStripe, billing: StripeBilling, tenant_id: TenantId
) -> None:
    await ask_for_fault(simulated_stripe, "POST", CUSTOMERS, lost=True)

    number = await created(billing, tenant_id)

    assert [number] == await of(billing, tenant_id)


async def test_an_internal_error_that_stripe_keeps_does_not_end_the_attempt(
    simulated_stripe: EmbeddedStripe, billing: StripeBilling, tenant_id: TenantId
) -> None:
    await ask_for_fault(simulated_stripe, "POST", CUSTOMERS, status=500)
    number = await created(billing, tenant_id)
    await ask_for_fault(simulated_stripe, "POST", SUBSCRIPTIONS, status=500)
    trial = await billing.start_trial(number, tenant_id=tenant_id, tier=Tier.STARTER, attempt="1")

    assert [number] == await of(billing, tenant_id)
    assert trial is not None
    assert trial == await billing.start_trial(number, tenant_id=tenant_id, tier=Tier.STARTER, attempt="1")


async def test_too_many_requests_are_transient(
    simulated_stripe: EmbeddedStripe, billing: StripeBilling, tenant_id: TenantId
) -> None:
    await ask_for_fault(simulated_stripe, "POST", CUSTOMERS, status=429)

    with pytest.raises(BillingUnavailable):
        await created(billing, tenant_id)

    assert await created(billing, tenant_id)


async def test_a_refused_key_is_transient_and_not_shown(
    simulated_stripe: EmbeddedStripe, tenant_id: TenantId
) -> None:
    key = "sk_test_" + secrets.token_urlsafe(16)
    billing = StripeBilling(key, api_base=simulated_stripe.url)

    with pytest.raises(BillingUnavailable) as caught:
        await created(billing, tenant_id)

    assert key not in str(caught.value)
    assert key[-4:] not in str(caught.value)
    await billing.close()


async def test_no_stripe_is_transient_and_what_it_had_is_there_again(tmp_path: Path) -> None:
    tenant_id = TenantId.new()
    server = EmbeddedStripe(tmp_path, api_key="sk_test_" + secrets.token_urlsafe(16))
    server.start()
    billing = StripeBilling(server.api_key, prices=SIMULATED_PRICES, api_base=server.url)
    number = await created(billing, tenant_id)
    server.kill()

    with pytest.raises(BillingUnavailable):
        await billing.customer(number)

    server.start()
    assert await billing.customer(number) is not None
    assert number == await created(billing, tenant_id), "the idempotency key was forgotten"
    await billing.close()
    server.stop()


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    simulated_stripe: EmbeddedStripe, tenant_id: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    billing = StripeBilling(simulated_stripe.api_key, api_base=simulated_stripe.url)

    assert await created(billing, tenant_id)
    await billing.close()


def test_the_pinned_version_is_the_one_the_sdk_describes() -> None:
    assert API_VERSION == _ApiVersion.CURRENT, "read the changelog, then pin the version the SDK describes"


def test_nothing_of_a_customer_is_printed() -> None:
    assert "api_key" not in repr(StripeBilling("sk_test_hush"))
    assert "hush" not in repr(vars(StripeBilling("sk_test_hush")))
    assert stripe.api_key is None
