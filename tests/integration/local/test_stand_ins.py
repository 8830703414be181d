"""The mailbox's pages, and which services a platform has stand-ins for."""

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from alphapulse.runtime.mail import Mail, Mailer
from alphapulse.runtime.settings import Settings
from alphapulse_local.children import Children
from alphapulse_local.mailbox import pages
from alphapulse_local.ports import address, listen, serving
from alphapulse_local.stand_ins import StandIns
from alphapulse_local.state import StateDirectory
from tests.integration.local.laptop import Notes
from tests.mailboxes import Mailbox

EVIL = "<script>alert(1)</script>"


@pytest.fixture
async def mailbox_url(mailbox: Mailbox) -> AsyncIterator[str]:
    handler = pages(mailbox.letters)
    with closing(listen(0)) as listener:
        async with serving(listener, handler):
            yield address(listener)


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def send(mailbox: Mailbox, *, to: str = "ada@example.com", subject: str = "Hello") -> None:
    await Mailer(mailbox.smtp_url, mailbox.mail_from).send(
        Mail(to=to, subject=subject, text=f"text of {subject}", html=f"<b>{subject}</b>")
    )


async def test_mails_are_listed_and_read(
    mailbox: Mailbox, mailbox_url: str, client: aiohttp.ClientSession
) -> None:
    await send(mailbox, subject="First")
    await send(mailbox, subject="Second", to="bob@example.com")

    items = (await (await client.get(f"{mailbox_url}/mailbox.json")).json())["items"]
    of_ada = (await (await client.get(f"{mailbox_url}/mailbox.json?to=ada@example.com")).json())["items"]
    page = await (await client.get(f"{mailbox_url}/mailbox")).text()
    letter = await (await client.get(f"{mailbox_url}/mailbox/{items[1]['id']}")).text()
    form = await (await client.get(f"{mailbox_url}/mailbox/{items[1]['id']}/html")).text()

    assert [item["subject"] for item in items] == ["Second", "First"]
    assert [item["text"].strip() for item in of_ada] == ["text of First"]
    assert "First" in page
    assert "bob@example.com" in page
    assert "text of First" in letter
    assert "<b>First</b>" in form


async def test_what_a_mail_holds_cannot_run(
    mailbox: Mailbox, mailbox_url: str, client: aiohttp.ClientSession
) -> None:
    await send(mailbox, subject=EVIL)
    (letter,) = mailbox.letters.newest()

    for path in ("/mailbox", f"/mailbox?to={EVIL}", f"/mailbox/{letter.id}"):
        answer = await client.get(mailbox_url + path)
        assert EVIL not in await answer.text()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    form = await client.get(f"{mailbox_url}/mailbox/{letter.id}/html")
    assert form.headers["Content-Security-Policy"].startswith("sandbox allow-popups;")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/mailbox/0199f1f2-0000-7000-8000-000000000000", 404),
        ("/mailbox/..%2f..%2fsecrets", 404),
        ("/mailbox/x/html", 404),
        ("/mailbox.json?limit=-1", 200),
        ("/mailbox.json?limit=%D9%A3", 200),
    ],
)
async def test_other_paths_answer_nothing(
    mailbox_url: str, client: aiohttp.ClientSession, path: str, status: int
) -> None:
    assert (await client.get(mailbox_url + path)).status == status


async def test_a_foreign_name_for_this_machine_opens_no_mail(
    mailbox: Mailbox, mailbox_url: str, client: aiohttp.ClientSession
) -> None:
    await send(mailbox)

    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        answer = await client.get(f"{mailbox_url}/mailbox.json", headers={"Host": host})
        assert answer.status == 403
    assert (await client.post(f"{mailbox_url}/mailbox")).status == 405


@pytest.fixture
def stand_ins(tmp_path: Path) -> Callable[..., StandIns]:
    state = StateDirectory(tmp_path)
    state.create()

    def make(**environment: str) -> StandIns:
        return StandIns(
            state,
            environment,
            public_url="http://127.0.0.1:8080",
            processes=Children(state.run, state.logs),
            reporter=Notes(),
        )

    return make


async def test_a_laptop_alone_gets_both_stand_ins_and_says_so(stand_ins: Callable[..., StandIns]) -> None:
    both = stand_ins()
    await both.start()
    settings = both.settings()
    secrets = both.secrets()

    assert {"stripe-simulator"} == set(both.supervisors)
    assert "http://127.0.0.1:8080/mailbox" in both.notes()
    assert "Stripe is simulated" in both.notes()
    assert both.page("/mailbox") is not None
    assert both.page("/mailboxes") is None
    read = Settings.from_environment(
        {**settings, "SMTP_URL": secrets["smtp"]["url"], "STRIPE_API_KEY": secrets["stripe"]["api-key"]}
    )
    assert read.public_url == "http://127.0.0.1:8080"
    assert read.stripe_price_pro == "price_simulatedpro"
    assert read.stripe_api_base is not None
    async with aiohttp.ClientSession() as client:
        assert (await client.get(read.stripe_api_base)).headers["Simulated"] == "true"
    await both.stop()
    again = stand_ins()
    assert again.secrets()["stripe"] == both.secrets()["stripe"]


async def test_services_that_are_named_replace_the_stand_ins(stand_ins: Callable[..., StandIns]) -> None:
    real = stand_ins(
        SMTP_URL="smtp://post:hush@mail.test",
        MAIL_FROM="Desk <desk@mail.test>",
        STRIPE_API_KEY="sk_live_hush",
        STRIPE_PRICE_PRO="price_1",
        PUBLIC_URL="https://trade.test",
    )
    await real.start()

    assert real.supervisors == {}
    assert real.notes() == ""
    assert real.page("/mailbox") is None
    assert real.secrets() == {
        "smtp": {"url": "smtp://post:hush@mail.test"},
        "stripe": {"api-key": "sk_live_hush"},
    }
    assert real.settings() == {
        "MAIL_FROM": "Desk <desk@mail.test>",
        "PUBLIC_URL": "https://trade.test",
        "STRIPE_API_BASE": "",
        "STRIPE_PRICE_STARTER": "",
        "STRIPE_PRICE_PRO": "price_1",
        "STRIPE_PRICE_ENTERPRISE": "",
    }
    await real.stop()
