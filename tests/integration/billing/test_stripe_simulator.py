"""The simulation of Stripe as its own SDK, and a plain HTTP client, find it."""

import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from alphapulse.billing.stripe_transport import StripeTransport
from alphapulse_local.embedded.stripe_simulator import EmbeddedStripe
from alphapulse_local.embedded.stripe_simulator.launcher import KEY_VARIABLE, PRICES
from tests.stripe_faults import ask_for_fault, forget_faults

DAY = 24 * 3600


@pytest.fixture
async def sdk(simulated_stripe: EmbeddedStripe) -> AsyncIterator[stripe.StripeClient]:
    transport = StripeTransport(simulated_stripe.url, timeout_seconds=5)
    yield stripe.StripeClient(
        simulated_stripe.api_key, base_addresses={"api": simulated_stripe.url}, http_client=transport
    )
    await transport.close_async()


@pytest.fixture
def http(simulated_stripe: EmbeddedStripe) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {simulated_stripe.api_key}"}
    with httpx.Client(base_url=simulated_stripe.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


async def subscribed(sdk: stripe.StripeClient, email: str, **options: Any) -> stripe.Subscription:
    customer = await sdk.v1.customers.create_async({"email": email})
    parameters: Any = {"customer": customer.id, "items": [{"price": PRICES["pro"]}], **options}
    return await sdk.v1.subscriptions.create_async(parameters)


async def test_a_customer_is_created_changed_and_deleted(sdk: stripe.StripeClient, email: str) -> None:
    made = await sdk.v1.customers.create_async(
        {"email": email, "name": "Müller & Söhne", "metadata": {"a": "1", "b": "2"}}
    )
    changed = await sdk.v1.customers.update_async(made.id, {"name": "", "metadata": {"a": "", "c": "3"}})
    deleted = await sdk.v1.customers.delete_async(made.id)
    found = await sdk.v1.customers.retrieve_async(made.id)

    assert made.id.startswith("cus_")
    assert (made.email, made.name, made.livemode) == (email, "Müller & Söhne", False)
    assert (changed.name, changed.metadata and changed.metadata.to_dict()) == (None, {"b": "2", "c": "3"})
    assert deleted.deleted
    assert found.deleted
    for again in (sdk.v1.customers.delete_async(made.id), sdk.v1.customers.update_async(made.id, {})):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await again
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


async def test_lists_come_in_pages_the_newest_first(sdk: stripe.StripeClient, email: str) -> None:
    made = [(await sdk.v1.customers.create_async({"email": email})).id for _ in range(7)]
    made.reverse()

    first = await sdk.v1.customers.list_async({"email": email, "limit": 3})
    second = await sdk.v1.customers.list_async({"email": email, "limit": 3, "starting_after": made[2]})
    back = await sdk.v1.customers.list_async({"email": email, "limit": 2, "ending_before": made[4]})

    assert made[:3] == [customer.id for customer in first.data]
    assert made[3:6] == [customer.id for customer in second.data]
    assert made[2:4] == [customer.id for customer in back.data]
    assert first.has_more
    assert made == [customer.id async for customer in first.auto_paging_iter()]
    assert (await sdk.v1.customers.list_async({"email": "nobody@example.com"})).data == []


async def test_deleting_a_customer_ends_its_subscriptions(sdk: stripe.StripeClient, email: str) -> None:
    subscription = await subscribed(sdk, email, trial_period_days=14)
    await sdk.v1.customers.delete_async(str(subscription.customer))

    ended = await sdk.v1.subscriptions.retrieve_async(subscription.id)

    assert ended.status == "canceled"
    assert ended.ended_at is not None
    assert (await sdk.v1.customers.list_async({"email": email})).data == []


async def test_a_trial_is_what_the_sdk_expects(sdk: stripe.StripeClient, email: str) -> None:
    trial = await subscribed(sdk, email, trial_period_days=14, metadata={"tier": "pro"})
    item = trial["items"].data[0]

    assert (trial.status, item.price.id, item.price.unit_amount) == ("trialing", PRICES["pro"], 49_900)
    assert trial.trial_end is not None
    assert trial.trial_end - trial.created == 14 * DAY
    assert item.current_period_end == trial.trial_end
    listed = await sdk.v1.subscriptions.list_async({"customer": str(trial.customer), "status": "trialing"})
    assert [trial.id] == [found.id for found in listed.data]


async def test_subscriptions_are_cancelled_now_or_later(sdk: stripe.StripeClient, email: str) -> None:
    trial = await subscribed(sdk, email, trial_period_days=14)

    later = await sdk.v1.subscriptions.update_async(trial.id, {"cancel_at_period_end": True})
    kept = await sdk.v1.subscriptions.update_async(trial.id, {"cancel_at_period_end": False})
    ended = await sdk.v1.subscriptions.cancel_async(trial.id)

    assert (later.cancel_at, later.status) == (trial.trial_end, "trialing")
    assert (kept.cancel_at, kept.status) == (None, "trialing")
    assert ended.status == "canceled"
    customer = str(trial.customer)
    assert (await sdk.v1.subscriptions.list_async({"customer": customer})).data == []
    assert len((await sdk.v1.subscriptions.list_async({"customer": customer, "status": "all"})).data) == 1


@pytest.mark.parametrize(
    ("behavior", "status"), [("create_invoice", "past_due"), ("cancel", "canceled"), ("pause", "paused")]
)
def test_a_trial_that_is_over_goes_on_without_a_payment_method(
    tmp_path: Path, behavior: str, status: str
) -> None:
    server = EmbeddedStripe(tmp_path, api_key="sk_test_" + secrets.token_urlsafe(8))
    server.start()
    with httpx.Client(base_url=server.url, auth=(server.api_key, ""), trust_env=False) as http:
        customer = http.post("/v1/customers").json()["id"]
        form = {
            "customer": customer,
            "items[0][price]": PRICES["pro"],
            "trial_end": str(int(time.time()) + DAY),
            "trial_settings[end_behavior][missing_payment_method]": behavior,
        }
        trial = http.post("/v1/subscriptions", data=form).json()
        with closing(sqlite3.connect(server.directory / "simulated.db")) as database, database:
            database.execute(
                "UPDATE objects SET body = json_set(body, '$.trial_end', ?) WHERE id = ?",
                (int(time.time()) - 1, trial["id"]),
            )
        found = http.get(f"/v1/subscriptions/{trial['id']}").json()
    server.stop()

    assert (trial["status"], found["status"]) == ("trialing", status)


async def test_prices_and_products_can_be_added(sdk: stripe.StripeClient) -> None:
    product = await sdk.v1.products.create_async({"name": "Extra"})
    price = await sdk.v1.prices.create_async(
        {"product": product.id, "currency": "usd", "unit_amount": 500, "recurring": {"interval": "year"}}
    )

    listed = await sdk.v1.prices.list_async({"product": product.id})
    assert [price.id] == [found.id for found in listed.data]
    assert (await sdk.v1.products.retrieve_async(product.id)).name == "Extra"
    tiers = {found.lookup_key for found in (await sdk.v1.prices.list_async({"limit": 100})).data}
    assert {"starter", "pro", "enterprise"} <= tiers


async def test_a_key_gives_its_first_answer_again(sdk: stripe.StripeClient, email: str) -> None:
    key = secrets.token_hex(8)
    first = await sdk.v1.customers.create_async({"email": email}, {"idempotency_key": key})
    again = await sdk.v1.customers.create_async({"email": email}, {"idempotency_key": key})

    assert first.id == again.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    for other in (
        sdk.v1.customers.create_async({"email": "x" + email}, {"idempotency_key": key}),
        sdk.v1.products.create_async({"name": "x"}, {"idempotency_key": key}),
    ):
        with pytest.raises(stripe.IdempotencyError):
            await other


async def test_a_refused_request_does_not_use_its_key_up(sdk: stripe.StripeClient, email: str) -> None:
    key = secrets.token_hex(8)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await sdk.v1.customers.create_async({"email": "no address"}, {"idempotency_key": key})
    made = await sdk.v1.customers.create_async({"email": email}, {"idempotency_key": key})

    assert (caught.value.code, caught.value.param) == ("email_invalid", "email")
    assert made.email == email


@pytest.mark.parametrize(
    ("path", "form", "status", "code", "param"),
    [
        ("/v1/customers", {"emial": "x"}, 400, "parameter_unknown", "emial"),
        ("/v1/customers", {"metadata": "x"}, 400, None, "metadata"),
        ("/v1/customers", {f"metadata[{'k' * 41}]": "x"}, 400, None, f"metadata[{'k' * 41}]"),
        ("/v1/customers", {"a[b": "x"}, 400, None, "a[b"),
        ("/v1/customers", {"a" + "[b]" * 9: "x"}, 400, None, "a"),
        ("/v1/customers", {"email[x]": "y"}, 400, None, "email"),
        ("/v1/subscriptions", {}, 400, "parameter_missing", "customer"),
        ("/v1/subscriptions", {"customer": "cus_none"}, 400, "resource_missing", "customer"),
        ("/v1/customers/cus_none", {}, 404, "resource_missing", "id"),
        ("/v1/charges", {}, 404, None, None),
        ("/v2/core/events", {}, 404, None, None),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    http: httpx.Client, path: str, form: dict[str, str], status: int, code: str | None, param: str | None
) -> None:
    answer = http.post(path, data=form)

    error = answer.json()["error"]
    assert (answer.status_code, error.get("code"), error.get("param")) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    assert answer.headers["Request-Id"].startswith("req_")


async def test_subscriptions_need_items_a_price_and_a_trial(sdk: stripe.StripeClient, email: str) -> None:
    for options, param in (
        ({"items": []}, "items"),
        ({"items": [{"price": "price_none"}]}, "items[0][price]"),
        ({}, None),
        ({"trial_period_days": 0}, "trial_period_days"),
        ({"trial_end": 1}, "trial_end"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await subscribed(sdk, email, **options)
        assert caught.value.param == param

    waiting = await subscribed(sdk, email, payment_behavior="default_incomplete")
    assert waiting.status == "incomplete"


@pytest.mark.parametrize("authorization", [None, "Bearer sk_test_wrong", "Basic ???", "Bearer", "Basic Og=="])
def test_without_the_key_nothing_is_answered(
    simulated_stripe: EmbeddedStripe, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("/v1/customers", "/_simulation/faults", "/v1/nothing"):
        answer = httpx.post(simulated_stripe.url + path, headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert simulated_stripe.api_key not in answer.text


def test_it_says_that_it_is_not_stripe(simulated_stripe: EmbeddedStripe, http: httpx.Client) -> None:
    assert "It is not Stripe" in http.get("/").text
    assert http.get("/v1/customers").headers["Simulated"] == "true"
    assert "simulation" in simulated_stripe.log.read_text()


async def test_faults_happen_as_often_as_asked_and_can_be_taken_back(
    simulated_stripe: EmbeddedStripe, http: httpx.Client
) -> None:
    await ask_for_fault(simulated_stripe, "GET", "/v1/prices", status=503, times=2)
    statuses = [http.get("/v1/prices").status_code for _ in range(3)]
    await ask_for_fault(simulated_stripe, "GET", "/v1/prices", status=429)
    await forget_faults(simulated_stripe)

    assert statuses == [503, 503, 200]
    assert http.get("/v1/prices").status_code == 200
    assert http.post("/_simulation/faults", data={"method": "GET", "path": "/"}).status_code == 400


def test_a_lost_answer_has_had_its_effect(
    simulated_stripe: EmbeddedStripe, http: httpx.Client, email: str
) -> None:
    form = {"method": "POST", "path": "/v1/customers", "lost": "true"}
    http.post("/_simulation/faults", data=form).raise_for_status()

    with pytest.raises(httpx.TransportError):
        http.post("/v1/customers", data={"email": email})

    assert len(http.get("/v1/customers", params={"email": email}).json()["data"]) == 1


def test_it_does_not_start_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=KEY_VARIABLE):
        EmbeddedStripe(tmp_path, api_key="").start()
