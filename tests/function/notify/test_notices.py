"""Requests for notices become one mail each, whatever happens in between."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from alphapulse.events import Event
from alphapulse.runtime.mail import Mail
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from functions.notify import service
from functions.notify.wording import TEMPLATES, kinds, word
from tests.conftest import TenantFactory
from tests.function.conftest import Clock, Functions
from tests.function.notify.conftest import AddUser
from tests.logins import login_of
from tests.mailboxes import Mailbox

QUOTA = {
    "quota": "cache_bytes",
    "level": "alert",
    "used": 83_886_080,
    "limit": 104_857_600,
    "alert_at": 83_886_080,
}
PARAMETERS: Mapping[str, dict[str, Any]] = {
    "auto_trade_halted": {
        "symbol": "BTC-USDT",
        "reason": "daily_loss_pct would be 0.06, at most 0.05 allowed",
    },
    "welcome": {},
    "provisioning_failed": {"step": "vault", "reason": "the store does not answer"},
    "credential_failed": {"exchange": "kraken", "reason": "the key may withdraw"},
    "trial_reminder": {"ends_on": "5 December 2026"},
    "quota_alert": QUOTA,
}


def request(
    functions: Functions, tenant: TenantId | None, kind: str = "welcome", *, key: str = "", **data: Any
) -> Event:
    default = {"kind": kind, "recipient": "owner", "parameters": PARAMETERS.get(kind, {})}
    key = key or f"{kind}:{uuid.uuid4()}"
    return functions.event("notification.requested", {**default, "dedupe_key": key, **data}, tenant)


async def rows(database: Database, tenant: TenantId) -> list[dict[str, Any]]:
    async with database.tenant(tenant) as session:
        return [dict(row) for row in await session.fetch("SELECT * FROM notifications ORDER BY id")]


def dead(event: Event, code: str = "503") -> Event:
    """The event as the broker hands it to a dead-letter sink."""
    return Event(
        type=event.type,
        source=event.source,
        data=event.data,
        id=event.id,
        extensions={
            **event.extensions,
            "knativeerrordest": "http://notify.alphapulse.svc.cluster.local/",
            "knativeerrorcode": code,
        },
    )


async def test_the_owner_is_told_and_it_is_recorded(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str, app_database: Database
) -> None:
    answer = await functions.deliver("notify", request(functions, tenant))

    assert answer.status_code == 204
    (letter,) = mailbox.to(owner)
    (row,) = await rows(app_database, tenant)
    assert letter.subject == "Your AlphaPulse account is ready"
    assert f"Company {tenant}" in letter.text
    assert "https://alphapulse.test/app/" in letter.text
    assert letter.message_id.startswith(f"<{row['id']}@")
    assert (row["status"], row["attempts"], row["error"]) == ("sent", 1, None)
    assert row["sent_at"] is not None
    assert (row["subject"], row["body"].strip()) == (
        letter.subject,
        letter.text.replace("\r\n", "\n").strip(),
    )


@pytest.mark.parametrize("kind", sorted(PARAMETERS))
async def test_every_kind_has_both_forms(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str, kind: str
) -> None:
    answer = await functions.deliver("notify", request(functions, tenant, kind))

    assert answer.status_code == 204
    (letter,) = mailbox.to(owner)
    assert "$" not in letter.subject + letter.text + letter.html
    for value in PARAMETERS[kind].values():
        if isinstance(value, str) and kind != "quota_alert":
            assert value in letter.subject + letter.text
            assert value in letter.html
    assert set(kinds()) == set(PARAMETERS), "a kind without a test"
    assert {f"{name}.html" for name in kinds()} | {"layout.html"} == {
        p.name for p in TEMPLATES.glob("*.html")
    }


async def test_a_quota_is_told_in_words(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str
) -> None:
    await functions.deliver("notify", request(functions, tenant, "quota_alert"))

    (letter,) = mailbox.to(owner)
    assert letter.subject == "Your cache is almost full"
    assert "uses 80 MB of the 100 MB" in letter.text
    assert "(80 %)" in letter.text


async def test_a_duplicate_is_told_once(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str
) -> None:
    event = request(functions, tenant, key="welcome:1")
    answers = [
        await functions.deliver("notify", event),
        await functions.deliver("notify", event),
        await functions.deliver("notify", request(functions, tenant, key="welcome:1")),
    ]

    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert len(mailbox.to(owner)) == 1


async def test_duplicates_at_once_are_told_once(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str
) -> None:
    answers = await asyncio.gather(
        *(functions.deliver("notify", request(functions, tenant, key="welcome:1")) for _ in range(5))
    )

    # A delivery that meets another one sending cannot know how that ends, so it comes again.
    assert {answer.status_code for answer in answers} <= {204, 503}
    assert 204 in {answer.status_code for answer in answers}
    assert len(mailbox.to(owner)) == 1


async def test_another_tenants_same_key_is_another_notice(
    functions: Functions,
    mailbox: Mailbox,
    tenant: TenantId,
    other_tenant: TenantId,
    owner: str,
) -> None:
    for each in (tenant, other_tenant):
        await functions.deliver("notify", request(functions, each, key="welcome:1"))

    assert len(mailbox.to(owner)) == len(mailbox.to(f"owner-{other_tenant}@example.com")) == 1


async def test_all_active_owners_are_told_and_nobody_else(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str, add_user: AddUser
) -> None:
    await add_user(tenant, f"second-{tenant}@example.com")
    await add_user(tenant, f"gone-{tenant}@example.com", status="disabled")

    await functions.deliver("notify", request(functions, tenant))

    assert {owner, f"second-{tenant}@example.com"} == {letter.to for letter in mailbox.letters.newest()}


async def test_one_user_can_be_told(functions: Functions, mailbox: Mailbox, tenant: TenantId) -> None:
    trader = login_of(tenant, role="trader").user_id

    await functions.deliver("notify", request(functions, tenant, recipient=str(trader)))

    assert [f"trader-{tenant}@example.com"] == [letter.to for letter in mailbox.letters.newest()]


async def test_a_user_of_another_tenant_is_not_told(
    functions: Functions,
    mailbox: Mailbox,
    tenant: TenantId,
    other_tenant: TenantId,
    app_database: Database,
) -> None:
    stranger = login_of(other_tenant).user_id

    answer = await functions.deliver("notify", request(functions, tenant, recipient=str(stranger)))

    assert answer.status_code == 204
    assert mailbox.letters.newest() == []
    assert await rows(app_database, tenant) == []


async def test_a_notice_for_a_tenant_that_is_gone_is_done(functions: Functions, mailbox: Mailbox) -> None:
    answer = await functions.deliver("notify", request(functions, TenantId.new()))

    assert answer.status_code == 204
    assert mailbox.letters.newest() == []


async def test_while_no_mail_is_taken_the_broker_tries_again(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str, app_database: Database
) -> None:
    event = request(functions, tenant)
    await mailbox.down()
    refused = await functions.deliver("notify", event)
    (waiting,) = await rows(app_database, tenant)
    await mailbox.up()
    taken = await functions.deliver("notify", event)

    assert (refused.status_code, taken.status_code) == (503, 204)
    assert int(refused.headers["Retry-After"]) > 0
    assert (waiting["status"], waiting["attempts"]) == ("pending", 1)
    assert "mail server" in waiting["error"]
    (row,) = await rows(app_database, tenant)
    assert (row["status"], row["attempts"], row["error"]) == ("sent", 2, None)
    assert len(mailbox.to(owner)) == 1


async def test_a_sender_that_crashed_is_succeeded_with_the_same_message_id(
    functions: Functions,
    mailbox: Mailbox,
    tenant: TenantId,
    owner: str,
    clock: Clock,
    app_database: Database,
) -> None:
    event = request(functions, tenant)
    await functions.deliver("notify", event)
    # As a crash leaves it that falls between the mail server's answer and the mark.
    async with app_database.tenant(tenant) as session:
        await session.execute(
            "UPDATE notifications SET status = 'pending', sent_at = NULL, sending_until = $1"
            " WHERE tenant_id = $2",
            clock() + service.SENDING,
            tenant.value,
        )

    too_soon = await functions.deliver("notify", event)
    clock.advance(seconds=service.SENDING.total_seconds() + 1)
    later = await functions.deliver("notify", event)

    assert (too_soon.status_code, later.status_code) == (503, 204)
    first, second = mailbox.to(owner)
    assert first.message_id == second.message_id


async def test_one_unreachable_address_does_not_keep_the_others_waiting(
    functions: Functions,
    mailbox: Mailbox,
    tenant: TenantId,
    owner: str,
    add_user: AddUser,
    app_database: Database,
) -> None:
    await add_user(tenant, f"no,address-{tenant}@example.com")

    answer = await functions.deliver("notify", request(functions, tenant))

    assert answer.status_code == 204
    assert [owner] == [letter.to for letter in mailbox.letters.newest()]
    found = await rows(app_database, tenant)
    assert {("sent", None), ("failed", "the address or the subject of the mail is malformed")} == {
        (row["status"], row["error"]) for row in found
    }


async def test_several_owners_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
    functions: Functions,
    mailbox: Mailbox,
    tenant: TenantId,
    owner: str,
    add_user: AddUser,
) -> None:
    others = [f"{name}-{tenant}@example.com" for name in ("second", "third")]
    for address in others:
        await add_user(tenant, address)
    mailer = functions.resources("notify").mailer
    send, together = mailer.send, asyncio.Barrier(3)

    async def slowly(mail: Mail) -> None:
        async with asyncio.timeout(10):
            await together.wait()  # nobody gets past it alone
        await send(mail)

    monkeypatch.setattr(mailer, "send", slowly)
    answer = await functions.deliver("notify", request(functions, tenant))

    assert answer.status_code == 204
    assert {owner, *others} == {letter.to for letter in mailbox.letters.newest()}


async def test_what_the_broker_gives_up_on_is_recorded_as_failed(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str, app_database: Database
) -> None:
    event = request(functions, tenant)
    await mailbox.down()
    await functions.deliver("notify", event)

    answer = await functions.deliver("notify", dead(event))
    await mailbox.up()
    again = await functions.deliver("notify", event)

    assert (answer.status_code, again.status_code) == (204, 204)
    (row,) = await rows(app_database, tenant)
    assert row["status"] == "failed"
    assert mailbox.to(owner) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "no_such_notice"}, "unknown_notice"),
        ({"kind": "../../app"}, "malformed_event"),
        ({"kind": "layout"}, "unknown_notice"),
        ({"kind": "credential_failed", "parameters": {"exchange": "kraken"}}, "parameter_missing"),
        ({"kind": "quota_alert", "parameters": {"quota": "cache_bytes"}}, "parameter_missing"),
        ({"recipient": "everybody"}, "malformed_event"),
        ({"parameters": {"link": {"nested": True}}}, "malformed_event"),
        ({"dedupe_key": ""}, "malformed_event"),
    ],
)
async def test_what_cannot_be_told_goes_to_the_dead_letter_and_stays_there(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str, changes: dict[str, Any], code: str
) -> None:
    event = request(functions, tenant, **changes)

    answer = await functions.deliver("notify", event)
    given_up = await functions.deliver("notify", dead(event, "422"))

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert given_up.status_code == 422, "the broker would drop the only trace of it"
    assert mailbox.letters.newest() == []


async def test_no_tenant_is_refused(functions: Functions) -> None:
    answer = await functions.deliver("notify", request(functions, None))

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_event")


async def test_values_bring_neither_markup_nor_headers_nor_hidden_text(
    functions: Functions, mailbox: Mailbox, tenant: TenantId, owner: str
) -> None:
    evil = "<img src=x onerror=alert(1)>\r\nBcc: eve@example.com\r\n\r\n\u202egnp.exe $public_url"
    data = {
        "parameters": {"exchange": evil, "reason": evil, "company": evil, "public_url": "https://evil.test"}
    }

    answer = await functions.deliver("notify", request(functions, tenant, "credential_failed", **data))

    assert answer.status_code == 204
    (letter,) = mailbox.letters.newest()
    assert letter.to == owner
    source = mailbox.letters.directory.joinpath(f"{letter.id}.eml").read_text()
    assert "\nBcc:" not in source
    assert "<img" not in letter.html
    assert "\u202e" not in letter.text + letter.html + letter.subject
    assert "$public_url" in letter.text, "a value is not a template"
    assert "https://evil.test" not in letter.text + letter.html


@pytest.mark.parametrize(
    ("company", "shown"),
    [
        ("Müller & Söhne", "Müller & Söhne"),
        ("ACME Inc.", "ACME Inc."),
        ("Win a prize at evil.example.com", "your company"),
        ("https://evil", "your company"),
        ("WWW.evil", "your company"),
        ("Two\r\nlines", "Two lines"),
    ],
)
def test_a_company_cannot_advertise_through_our_mail(company: str, shown: str) -> None:
    said = word("welcome", {}, company=company, tier="pro", public_url="https://alphapulse.test")

    assert f"the account of {shown} (Pro)" in said.text


async def test_people_list_what_they_were_told(
    functions: Functions, tenant: TenantId, add_user: AddUser, clock: Clock
) -> None:
    await add_user(tenant, f"another-owner-{tenant}@example.com")
    for kind in ("welcome", "quota_alert", "trial_reminder"):
        await functions.deliver("notify", request(functions, tenant, kind))
        clock.advance(seconds=1)
    caller = functions.caller("notify", tenant)

    first = (await caller.get("/notifications?limit=2")).json()
    second = (await caller.get(f"/notifications?limit=2&cursor={first['next_cursor']}")).json()

    assert [item["kind"] for item in first["items"]] == ["trial_reminder", "quota_alert"]
    assert [item["kind"] for item in second["items"]] == ["welcome"]
    assert second["next_cursor"] is None
    assert dt.datetime.fromisoformat(second["items"][0]["created_at"]).tzinfo is not None


async def test_the_list_is_ones_own(
    functions: Functions, tenant: TenantId, owner: str, new_tenant: TenantFactory
) -> None:
    await functions.deliver("notify", request(functions, tenant))

    anonymous = await functions.caller("notify").get("/notifications")
    colleague = await functions.caller("notify", tenant, role="viewer").get("/notifications")
    stranger = await functions.caller("notify", await new_tenant()).get("/notifications")

    assert anonymous.status_code == 401
    assert [] == colleague.json()["items"] == stranger.json()["items"]
