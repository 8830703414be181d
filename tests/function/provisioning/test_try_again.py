"""After a failure that was undone: the owner sees why, is told, and has it tried again."""

import datetime as dt
import json
from typing import Any

import pytest

from alphapulse.events import Event
from alphapulse.provisioning.compensation import RECHECK_AFTER
from alphapulse.provisioning.steps import Step
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tenant import TenantId
from tests.function.conftest import Broker, Functions
from tests.function.provisioning import faults
from tests.function.provisioning.conftest import SignUps
from tests.function.provisioning.courier import Courier
from tests.function.provisioning.faults import Times
from tests.function.provisioning.inspection import ACCOUNT, Stores


@pytest.fixture
async def failed(monkeypatch: pytest.MonkeyPatch, sign_ups: SignUps, courier: Courier) -> TenantId:
    """A tenant whose provisioning was refused once at the payment service, and undone."""
    faults.have(monkeypatch, Step.BILLING, Times(1, faults.refused, after_effect=True))
    tenant, event = await sign_ups.new()
    await courier.carry(event)
    assert await sign_ups.status(tenant) == "failed"
    return tenant


async def shown(accounts: Functions, tenant: TenantId) -> dict[str, Any]:
    answer = await accounts.caller("accounts", tenant).get(f"/tenants/{tenant}/provisioning")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def retried(accounts: Functions, broker: Broker, tenant: TenantId) -> Event:
    before = len(broker.named("tenant.signup.requested", tenant))
    answer = await accounts.caller("accounts", tenant).post(f"/tenants/{tenant}/provisioning/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending"), answer.text
    events = await broker.wait_for("tenant.signup.requested", count=before + 1, tenant_id=tenant)
    return events[-1]


async def test_the_owner_sees_what_failed_why_and_what_was_removed(
    accounts: Functions, failed: TenantId
) -> None:
    document = await shown(accounts, failed)

    steps = {step["step"]: step for step in document["steps"]}
    assert (document["status"], document["reason"]) == ("failed", "the store will never do this")
    assert (steps["billing"]["status"], steps["billing"]["error"]) == ("failed", document["reason"])
    assert [failure["error"] for failure in steps["billing"]["failures"]] == [document["reason"]]
    report = {part["store"]: part for part in document["run"]["report"]["stores"]}
    assert list(report) == ["billing", "cache", "vault", "database"]
    assert len(report["billing"]["removed"]["customers"]) == 1
    assert {part["left"] == [] for part in report.values()} == {True}


async def test_the_failure_is_told_to_the_owner_and_the_platform(
    functions: Functions, broker: Broker, failed: TenantId
) -> None:
    await functions.settle()

    (event,) = broker.named("tenant.provisioning.failed", failed)
    (notice,) = broker.named("notification.requested", failed)

    assert (event.data["step"], event.data["reason"]) == ("billing", "the store will never do this")
    assert (notice.data["kind"], notice.data["recipient"]) == ("provisioning_failed", "owner")


async def test_another_try_makes_the_tenant_with_a_customer_of_its_own(
    accounts: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    stores: Stores,
    failed: TenantId,
) -> None:
    await courier.carry(await retried(accounts, broker, failed))

    document = await shown(accounts, failed)
    assert await sign_ups.status(failed) == "active"
    assert [step["attempts"] for step in document["steps"]] == [1] * 6
    assert len((await stores.of(failed, but=ACCOUNT))["stripe"]) == 1


async def test_events_of_the_first_try_do_nothing_to_the_second(
    accounts: Functions, broker: Broker, courier: Courier, sign_ups: SignUps, failed: TenantId
) -> None:
    old = [event for function, event, _ in courier.delivered]
    again = await retried(accounts, broker, failed)

    for event in old:
        function = "provision_compensate" if "knativeerrordest" in event.extensions else None
        if function is not None:
            assert (await courier.deliver(function, event)).status_code == 204  # type: ignore[union-attr]
        else:
            await courier.carry(event)
    await courier.carry(again)

    assert await sign_ups.status(failed) == "active"


async def test_a_second_try_at_the_same_time_is_refused(accounts: Functions, failed: TenantId) -> None:
    owner = accounts.caller("accounts", failed)
    first = await owner.post(f"/tenants/{failed}/provisioning/retry")
    second = await owner.post(f"/tenants/{failed}/provisioning/retry")

    assert (first.status_code, second.status_code) == (202, 409)
    assert second.json()["code"] == "provisioning_not_failed"


async def test_a_second_factor_whose_secret_was_removed_does_not_lock_the_owner_out(
    monkeypatch: pytest.MonkeyPatch, sign_ups: SignUps, courier: Courier
) -> None:
    faults.have(monkeypatch, Step.VERIFY, Times(1, faults.refused))
    tenant, event = await sign_ups.new()
    await sign_ups.execute(tenant, "UPDATE users SET totp_enabled_at = now() WHERE tenant_id = $1")

    await courier.carry(event)

    rows = await sign_ups.fetch(tenant, "SELECT totp_enabled_at FROM users WHERE tenant_id = $1")
    assert await sign_ups.status(tenant) == "failed"
    assert {row["totp_enabled_at"] for row in rows} == {None}


async def test_another_try_waits_for_the_look_at_what_the_first_one_left(  # noqa: PLR0917 - fixtures
    monkeypatch: pytest.MonkeyPatch,
    functions: Functions,
    accounts: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    stores: Stores,
    failed: TenantId,
) -> None:
    await sign_ups.age(failed, RECHECK_AFTER + dt.timedelta(minutes=1))
    owner = accounts.caller("accounts", failed)
    keyspace = functions.resources("provision_compensate").keyspace
    keys_of, during = keyspace.keys_of, []

    async def asked_slowly(tenant_id: TenantId) -> list[str]:
        if tenant_id == failed:
            during.append(await owner.post(f"/tenants/{failed}/provisioning/retry"))
        return await keys_of(tenant_id)

    monkeypatch.setattr(keyspace, "keys_of", asked_slowly)
    await courier.deliver("provision_compensate", functions.tick("provisioning-sweep"))
    monkeypatch.undo()
    await courier.carry(await retried(accounts, broker, failed))

    assert [(answer.status_code, answer.json()["code"]) for answer in during] == [(503, "run_busy")]
    assert await sign_ups.status(failed) == "active"
    assert set(await stores.of(failed, but=ACCOUNT)) == {"postgres", "redis", "vault", "stripe"}


async def test_a_customer_the_first_try_made_late_is_removed_when_the_second_try_has_made_its_own(
    functions: Functions,
    accounts: Functions,
    broker: Broker,
    courier: Courier,
    sign_ups: SignUps,
    stores: Stores,
    failed: TenantId,
) -> None:
    again = await retried(accounts, broker, failed)
    (owner,) = await sign_ups.fetch(failed, "SELECT email FROM users WHERE tenant_id = $1 AND role = 'owner'")
    late = await functions.resources("provision_billing").billing.create_customer(
        failed, email=owner["email"], company="Acme", tier=Tier.PRO, attempt="its answer was lost"
    )
    await sign_ups.execute(
        failed,
        "UPDATE provisioning_runs SET recheck_at = recheck_at - interval '11 minutes' WHERE tenant_id = $1",
    )

    await courier.deliver(
        "provision_compensate", functions.tick("provisioning-sweep")
    )  # too early: the second try goes on
    while_it_goes_on = (await stores.of(failed, but=ACCOUNT))["stripe"]
    await courier.carry(again)
    both = (await stores.of(failed, but=ACCOUNT))["stripe"]
    await sign_ups.age(failed, RECHECK_AFTER + dt.timedelta(minutes=1))
    await courier.deliver("provision_compensate", functions.tick("provisioning-sweep"))

    (recorded,) = await sign_ups.fetch(
        failed, "SELECT stripe_customer_id AS id FROM subscriptions WHERE tenant_id = $1"
    )
    assert while_it_goes_on == [late]
    assert set(both) == {late, recorded["id"]}
    assert (await stores.of(failed, but=ACCOUNT))["stripe"] == [recorded["id"]]
    assert await sign_ups.status(failed) == "active"


@pytest.mark.parametrize("role", ["trader", "viewer"])
async def test_only_the_owner_may_try_again(accounts: Functions, failed: TenantId, role: str) -> None:
    answer = await accounts.caller("accounts", failed, role=role).post(
        f"/tenants/{failed}/provisioning/retry"
    )

    assert answer.status_code == 403


async def test_no_secret_stands_in_what_is_shown_stored_or_sent(
    functions: Functions, accounts: Functions, broker: Broker, sign_ups: SignUps, failed: TenantId
) -> None:
    await functions.settle()
    settings = functions.settings
    secrets = [
        secret.reveal()
        for secret in (settings.database_url, settings.platform_database_url, settings.redis_url)
        if secret is not None
    ]
    assert settings.stripe_api_key is not None
    secrets += [settings.stripe_api_key.reveal()]
    assert settings.vault_secret_id_file is not None
    secrets += [settings.vault_secret_id_file.read_text()]

    rows = [dict(row) for row in (await sign_ups.steps(failed)).values()] + [dict(await sign_ups.run(failed))]
    text = (
        json.dumps(await shown(accounts, failed))
        + json.dumps(rows, default=str)
        + json.dumps([event.to_record() for event in broker.events], default=str)
    )

    assert [secret for secret in secrets if secret in text] == []
