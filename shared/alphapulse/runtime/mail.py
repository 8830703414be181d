"""Mail that leaves through an SMTP server.

Errors: `MailRefused` (permanent: this mail will never be taken) and `MailUnavailable` (transient).
SMTP knows no transaction: when the server's answer is lost, the mail may have been taken and is sent
again. A constant `message_id` lets the reader's mail program show both as one.
"""

import asyncio
import ipaddress
import ssl
import uuid
from dataclasses import dataclass, field
from email.errors import HeaderParseError, MessageDefect
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from urllib.parse import SplitResult, unquote, urlsplit

from alphapulse.runtime.errors import DependencyDown, Invalid
from alphapulse.runtime.resources import Clock, utc_now
from alphapulse.runtime.settings import Secret

_PORTS = {"smtp": 587, "smtps": 465}
_PLAIN_PORT = 25
_TIMEOUT_SECONDS = 10.0
# Most servers refuse a client that opens more.
_CONNECTIONS = 4
_TRY_AGAIN_SECONDS = 15
_FIRST_PERMANENT = 500


class MailRefused(Invalid):
    """The address or the mail itself is not acceptable; sending it again would not help."""

    code = "mail_refused"


class MailUnavailable(DependencyDown):
    """The mail server cannot be reached, does not let us in, or asks for patience."""

    code = "mail_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail to one person.

    Parameters
    ----------
    to
        The address alone, without a name.
    subject
        One line; a line break in it is refused.
    text, html
        The same content twice. They may hold one-time links, so neither is printed.
    message_id
        Unique part of the `Message-ID`; the same one for every attempt at the same mail.
    """

    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    message_id: uuid.UUID | None = None


class Mailer:
    """Sends mail through one server.

    Parameters
    ----------
    url
        `smtp://user:password@host:port` (STARTTLS, without which nothing is sent unless the host is
        this machine) or `smtps://...` (TLS from the first byte). User and password percent-encoded.
    sender
        `Name <address>` or an address.
    clock
        Aware UTC now.
    timeout_seconds
        For each step of the conversation; a whole mail, waiting for its turn included, gets three times
        as much.
    tls
        Trust for the server's certificate; the system's when not given.

    Raises
    ------
    ValueError
        `url` or `sender` is malformed; the message does not show the URL.
    """

    def __init__(
        self,
        url: Secret,
        sender: str,
        *,
        clock: Clock = utc_now,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = _server(url)
        self._sender = _sender(sender)
        self._clock = clock
        self._timeout = timeout_seconds
        self._tls = tls
        self._places = asyncio.Semaphore(_CONNECTIONS)

    async def send(self, mail: Mail) -> None:
        """Hand a mail to the server; on return the server has taken it.

        Raises
        ------
        MailRefused
            The address is malformed or unknown to the server, or the mail is refused for good.
        MailUnavailable
            It may work later.
        """
        import aiosmtplib  # noqa: PLC0415 - 80 ms that only a process which sends mail pays

        message = self._message(mail)
        try:
            async with asyncio.timeout(3 * self._timeout), self._places:
                await self._deliver(message, mail.to)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise _mapped(error) from error

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        try:
            message["From"] = self._sender
            message["To"] = Address(addr_spec=mail.to)
            message["Subject"] = mail.subject
        except (ValueError, IndexError, HeaderParseError, MessageDefect) as error:
            # IndexError is how the parser of the standard library answers an empty address.
            raise MailRefused("the address or the subject of the mail is malformed") from error
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = f"<{mail.message_id or uuid.uuid4()}@{self._sender.domain}>"
        # Out-of-office programs do not answer what says this (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        if mail.html is not None:
            message.add_alternative(mail.html, subtype="html")
        return message

    async def _deliver(self, message: EmailMessage, recipient: str) -> None:
        import aiosmtplib  # noqa: PLC0415 - see `send`

        server = self._server
        tls_at_once = server.scheme == "smtps"
        await aiosmtplib.send(
            message,
            sender=self._sender.addr_spec,
            recipients=[recipient],
            hostname=server.hostname,
            port=_port(server),
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            local_hostname=self._sender.domain,
            timeout=self._timeout,
            use_tls=tls_at_once,
            # Never "if offered": whoever sits in between would simply not offer it.
            start_tls=not (tls_at_once or _on_this_machine(server)),
            tls_context=self._tls,
        )


def _server(url: Secret) -> SplitResult:
    wrong = ValueError("SMTP_URL must be smtp://user:password@host:port or smtps://...")
    try:
        server = urlsplit(url.reveal())
        port = server.port
    except ValueError:
        raise wrong from None  # its text would show the address
    more = server.path not in {"", "/"} or server.query or server.fragment
    if server.scheme not in _PORTS or not server.hostname or port == 0 or more:
        raise wrong
    return server


def _port(server: SplitResult) -> int:
    if server.port is not None:
        return server.port
    return _PLAIN_PORT if server.scheme == "smtp" and _on_this_machine(server) else _PORTS[server.scheme]


def _on_this_machine(server: SplitResult) -> bool:
    host = server.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sender(text: str) -> Address:
    try:
        ((name, address),) = getaddresses([text])
        return Address(display_name=name, addr_spec=address)
    except (ValueError, IndexError, HeaderParseError, MessageDefect) as error:
        raise ValueError(f"MAIL_FROM must be an address or 'Name <address>', was {text!r}") from error


def _mapped(error: Exception) -> MailRefused | MailUnavailable:
    """Return the error for a failed attempt; what the server wrote stays in the chained exception."""
    import aiosmtplib  # noqa: PLC0415 - see `Mailer.send`

    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refusals = [refusal.code for refusal in error.recipients]
        if all(code >= _FIRST_PERMANENT for code in refusals):
            return MailRefused(f"the mail server refuses the recipient with {refusals[0]}")
    if isinstance(error, aiosmtplib.SMTPDataError) and error.code >= _FIRST_PERMANENT:
        return MailRefused(f"the mail server refuses the mail with {error.code}")
    # A refused login or sender address is a fault of the settings: once mended, the mail can leave.
    code = f" {error.code}" if isinstance(error, aiosmtplib.SMTPResponseException) else ""
    return MailUnavailable(
        f"the mail server did not take the mail ({type(error).__name__}{code})",
        retry_after_seconds=_TRY_AGAIN_SECONDS,
    )
