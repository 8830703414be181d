"""A new tenant is welcomed by mail, and Stripe has it as a customer: with stand-ins that say so."""

from typing import Any

import httpx
import pytest

from alphapulse.events import Event, event_type
from alphapulse_local.testing import RunningPlatform
from tests.e2e.conftest import User, eventually

pytestmark = pytest.mark.e2e


def test_a_new_tenant_is_welcomed_by_mail(platform: RunningPlatform, user: User) -> None:
    def welcomes() -> list[dict[str, Any]]:
        answer = httpx.get(f"{platform.url}/mailbox.json?to={user.email}", trust_env=False)
        return [mail for mail in answer.json()["items"] if "ready" in mail["subject"]]

    (mail,) = eventually(welcomes, bool)

    assert f"{platform.url}/app/" in mail["text"]
    assert user.email in httpx.get(f"{platform.url}/mailbox", trust_env=False).text
    # Both are sent beside each other, so the list may have either first.
    told = eventually(lambda: user.get("/notifications")["items"], lambda items: len(items) > 1)
    assert {notice["kind"] for notice in told} == {"welcome", "verify_email"}


def test_a_new_tenant_is_a_customer_on_trial(platform: RunningPlatform, user: User) -> None:
    key = (platform.state.secrets / "stripe-simulator").read_text()
    where = platform.status()["components"]["stripe-simulator"]["where"]
    with httpx.Client(base_url=f"http://{where}", auth=(key, ""), trust_env=False) as stripe:
        (customer,) = stripe.get("/v1/customers", params={"email": user.email}).json()["data"]
        (trial,) = stripe.get("/v1/subscriptions", params={"customer": customer["id"]}).json()["data"]

    assert customer["metadata"]["tenant_id"] == user.tenant_id
    assert trial["status"] == "trialing"


def test_a_notice_nobody_can_word_is_parked_for_the_operator(platform: RunningPlatform, user: User) -> None:
    ingress = platform.status()["components"]["broker-ingress"]["where"]
    event = Event(
        type=event_type("notification.requested"),
        source="/functions/test",
        data={"kind": "no_such_notice", "recipient": "owner", "dedupe_key": "e2e"},
        extensions={"tenantid": user.tenant_id},
    )
    headers, body = event.to_http()

    def parked() -> int:
        count: int = platform.status()["broker"].get("notify", {}).get("parked", 0)
        return count

    before = parked()
    taken = httpx.post(f"http://{ingress}/alphapulse/default", headers=headers, content=body, trust_env=False)

    assert taken.status_code == 202
    assert eventually(parked, lambda count: count > before) == before + 1


def test_the_platform_says_what_is_not_the_real_thing(platform: RunningPlatform) -> None:
    # The note with how to stop it is the last one.
    said = eventually(lambda: " ".join(platform.output().split()), lambda text: "Ctrl-C" in text)

    assert f"read it on {platform.url}/mailbox" in said
    assert "Stripe is simulated" in said
