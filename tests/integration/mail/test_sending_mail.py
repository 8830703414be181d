"""Mail through real SMTP servers: the mailbox, servers with TLS, servers that refuse."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from alphapulse.runtime.mail import Mail, Mailer, MailRefused, MailUnavailable
from alphapulse.runtime.settings import Secret
from alphapulse_local.embedded.process import free_port
from tests.integration.broker_operations.certificates import Authority
from tests.mailboxes import Mailbox

SENDER = "AlphaPulse <no-reply@alphapulse.test>"
LINK = "https://alphapulse.test/reset?token=one-time-secret"
# Reaches this machine on Linux and is no address of the loopback: to the mailer, a server elsewhere.
ELSEWHERE = "0.0.0.0"  # noqa: S104 - an address to call as well


def mail(**changes: Any) -> Mail:
    fields = {"to": "ada@example.com", "subject": "Hello", "text": f"Open {LINK}\n", "html": "<p>Open</p>"}
    return Mail(**{**fields, **changes})


class Server:
    """An SMTP server that answers what a test wants it to."""

    def __init__(self, *, recipient: str = "250 ok", data: str = "250 ok") -> None:
        self.port = free_port()
        self.recipient = recipient
        self.data = data
        self.taken: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []

    @contextlib.asynccontextmanager
    async def running(self, *, at_once: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, hostname="localhost", authenticator=self.login, **options),
            host=ELSEWHERE,
            port=self.port,
            ssl=at_once,
        )
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        self.taken.append(envelope)
        return self.data

    def login(self, server: SMTP, session: Session, envelope: Envelope, kind: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss/word", handled=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def served_tls(authority: Authority) -> ssl.SSLContext:
    certificate, key = authority.issue("mail", address=ELSEWHERE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture
def trust(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.file))


def mailer(
    server: Server, *, scheme: str = "smtp", login: str = "", tls: ssl.SSLContext | None = None
) -> Mailer:
    url = f"{scheme}://{login}{ELSEWHERE}:{server.port}"
    return Mailer(Secret(url), SENDER, timeout_seconds=5, tls=tls)


async def test_a_mail_arrives_with_both_forms_and_says_it_is_automatic(mailbox: Mailbox) -> None:
    at = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    number = uuid.uuid4()
    sender = Mailer(mailbox.smtp_url, SENDER, clock=lambda: at)

    await sender.send(mail(subject="Grüße ₿", message_id=number))

    (letter,) = mailbox.to("ada@example.com")
    assert (letter.sender, letter.subject) == (SENDER, "Grüße ₿")
    assert LINK in letter.text
    assert "<p>Open</p>" in letter.html
    assert letter.message_id == f"<{number}@alphapulse.test>"
    source = mailbox.letters.directory.joinpath(f"{letter.id}.eml").read_text()
    assert "Auto-Submitted: auto-generated" in source
    assert "Date: Sun, 01 Mar 2026 12:00:00 +0000" in source


async def test_mails_sent_at_once_all_arrive(mailbox: Mailbox) -> None:
    sender = Mailer(mailbox.smtp_url, SENDER)

    await asyncio.gather(*(sender.send(mail(to=f"reader{number}@example.com")) for number in range(20)))

    assert {f"reader{number}@example.com" for number in range(20)} == {
        letter.to for letter in mailbox.letters.newest()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: eve@example.com"},
        {"subject": "Hello\nBcc: eve@example.com"},
        {"to": "ada@example.com\r\nBcc: eve@example.com"},
        {"to": "ada@example.com, eve@example.com"},
        {"to": "ada@example.com>\r\nRCPT TO:<eve@example.com"},
        {"to": "eve@example.com <ada@example.com>"},
        {"to": "no address"},
        {"to": ""},
    ],
)
async def test_a_header_cannot_be_smuggled_in(mailbox: Mailbox, changes: dict[str, str]) -> None:
    with pytest.raises(MailRefused):
        await Mailer(mailbox.smtp_url, SENDER).send(mail(**changes))

    assert mailbox.letters.newest() == []


async def test_lines_that_would_end_the_mail_are_part_of_it(mailbox: Mailbox) -> None:
    text = "before\r\n.\r\nMAIL FROM:<eve@example.com>\r\nafter\r\n"

    await Mailer(mailbox.smtp_url, SENDER).send(mail(text=text, html=None))

    (letter,) = mailbox.letters.newest()
    assert letter.text.splitlines() == ["before", ".", "MAIL FROM:<eve@example.com>", "after"]


async def test_no_server_is_transient(mailbox: Mailbox) -> None:
    await mailbox.down()

    with pytest.raises(MailUnavailable) as caught:
        await Mailer(mailbox.smtp_url, SENDER).send(mail())

    assert caught.value.retry_after_seconds


async def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = Secret(f"smtp://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(MailUnavailable):
            await Mailer(url, SENDER, timeout_seconds=0.2).send(mail())


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"recipient": "550 5.1.1 nobody here by that name"}, MailRefused),
        ({"recipient": "451 4.7.1 greylisted, come back later"}, MailUnavailable),
        ({"data": "554 5.7.1 looks like spam"}, MailRefused),
        ({"data": "452 4.3.1 disk full"}, MailUnavailable),
    ],
)
async def test_refusals_are_told_apart(
    served_tls: ssl.SSLContext, trust: ssl.SSLContext, answers: dict[str, str], error: type[Exception]
) -> None:
    server = Server(**answers)
    async with server.running(tls_context=served_tls):
        with pytest.raises(error) as caught:
            await mailer(server, tls=trust).send(mail())

    # What the server writes is for nobody's eyes: it may quote the mail.
    assert not {"nobody", "greylisted", "spam", "disk"} & set(str(caught.value).split())


async def test_the_connection_is_encrypted_before_the_login(
    served_tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    server = Server()
    async with server.running(tls_context=served_tls, require_starttls=True):
        await mailer(server, login="post%40office:p%40ss%2Fword@", tls=trust).send(mail())

    assert server.logins == [(b"post@office", b"p@ss/word")]
    assert server.taken[0].rcpt_tos == ["ada@example.com"]


async def test_a_server_without_encryption_gets_neither_login_nor_mail(trust: ssl.SSLContext) -> None:
    server = Server()
    async with server.running():
        with pytest.raises(MailUnavailable):
            await mailer(server, login="user:p%40ss%2Fword@", tls=trust).send(mail())

    assert (server.logins, server.taken) == ([], [])


async def test_a_certificate_nobody_vouches_for_is_not_accepted(served_tls: ssl.SSLContext) -> None:
    server = Server()
    async with server.running(tls_context=served_tls):
        with pytest.raises(MailUnavailable):
            await mailer(server).send(mail())

    assert server.taken == []


async def test_smtps_is_encrypted_from_the_first_byte(
    served_tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    server = Server()
    async with server.running(at_once=served_tls, auth_require_tls=False):
        await mailer(server, scheme="smtps", tls=trust).send(mail())

    assert len(server.taken) == 1


async def test_a_refused_login_is_the_operators_to_mend(
    served_tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    server = Server()
    async with server.running(tls_context=served_tls):
        with pytest.raises(MailUnavailable) as caught:
            await mailer(server, login="user:wrong@", tls=trust).send(mail())

    assert "wrong" not in str(caught.value)
    assert server.taken == []


def test_nothing_of_a_mail_is_printed() -> None:
    assert "ada" not in repr(mail())
    assert "one-time-secret" not in repr(mail())


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.test",
        "smtp://",
        "smtp://mail.test:0",
        "smtp://user:hush@mail.test:port",
        "smtp://mail.test/inbox",
        "smtp://mail.test?tls=no",
        "mail.test:25",
    ],
)
def test_a_malformed_address_of_the_server_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"^SMTP_URL must be") as caught:
        Mailer(Secret(url), SENDER)

    assert "hush" not in str(caught.value)
    assert caught.value.__context__ is None or "hush" not in str(caught.value.__context__)


@pytest.mark.parametrize("sender", ["", "AlphaPulse", "a@b, c@d", "AlphaPulse <@alphapulse.test>"])
def test_a_malformed_sender_is_refused(sender: str) -> None:
    with pytest.raises(ValueError, match=r"^MAIL_FROM must be"):
        Mailer(Secret("smtp://127.0.0.1:25"), sender)


async def test_the_mailbox_finds_its_mails_again(mailbox: Mailbox, tmp_path: Path) -> None:
    await Mailer(mailbox.smtp_url, SENDER).send(mail())

    again = Mailbox(tmp_path / "mailbox")

    assert again.to("Ada@Example.com") == mailbox.to("ada@example.com")
