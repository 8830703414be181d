"""Mails that carry a one-time token. They leave from here, because a token must not be in an event."""

import asyncio
import html
import uuid
from dataclasses import dataclass, field

import structlog
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.runtime.errors import FunctionError, Transient
from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.tenancy.tenant import TenantId
from functions.accounts.one_time_tokens import Purpose

_PAUSES_SECONDS = (1.0, 4.0)

sql = queries.load(__file__, "mails.sql")
logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Wording:
    subject: str
    text: str
    page: str


_WORDINGS = {
    Purpose.VERIFY_EMAIL: _Wording(
        "Confirm your e-mail address",
        "Please confirm that this address is yours. The link works once, for three days.",
        "verify-email",
    ),
    Purpose.RESET_PASSWORD: _Wording(
        "Set a new password",
        "Somebody, hopefully you, asked for a new password. The link works once, for one hour."
        " If it was not you, nothing has changed and there is nothing to do.",
        "reset-password",
    ),
    Purpose.INVITATION: _Wording(
        "You are invited to AlphaPulse",
        "You have been invited to your team's account. Set a password to join it."
        " The link works once, for seven days.",
        "accept-invitation",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMail:
    """A mail to be sent once the token's hash is stored."""

    tenant_id: TenantId
    user_id: uuid.UUID
    to: str = field(repr=False)
    purpose: Purpose
    token: str = field(repr=False)


def send_later(resources: Resources, mail: TokenMail) -> None:
    """Send a mail beside the answer; that it was sent, or was not, is recorded."""
    resources.background.start(_send(resources, mail))


async def _send(resources: Resources, mail: TokenMail) -> None:
    notice = uuid7()
    error = await _attempts(resources, mail, message_id=notice)
    async with resources.database.tenant(mail.tenant_id) as session:
        await sql.record(
            session,
            tenant_id=mail.tenant_id.value,
            id=notice,
            user_id=mail.user_id,
            kind=mail.purpose.value,
            subject=_WORDINGS[mail.purpose].subject,
            status="sent" if error is None else "failed",
            error=error,
            now=resources.clock(),
        )


async def _attempts(resources: Resources, mail: TokenMail, *, message_id: uuid.UUID) -> str | None:
    """Return None once the mail server has the mail, or why it never got it."""
    for pause in (*_PAUSES_SECONDS, None):
        try:
            await _attempt(resources, mail, message_id)
        except (FunctionError, NotConfigured) as error:
            reason = error.code if isinstance(error, FunctionError) else "not_configured"
            if pause is None or not isinstance(error, Transient):
                logger.warning("mail_not_sent", kind=mail.purpose.value, reason=reason)
                return reason
            await asyncio.sleep(pause)
        else:
            return None
    return None


async def _attempt(resources: Resources, mail: TokenMail, message_id: uuid.UUID) -> None:
    from alphapulse.runtime.mail import Mail  # noqa: PLC0415 - only a mail pays for it

    wording = _WORDINGS[mail.purpose]
    # After the #, where no server and no log sees it.
    link = f"{resources.settings.public_url or ''}/app/{wording.page}#token={mail.token}"
    text = f"{wording.text}\n\n{link}\n\nCode, if you are asked for it: {mail.token}\n"
    rich = (
        f"<p>{html.escape(wording.text)}</p>"
        f'<p><a href="{html.escape(link)}">{html.escape(wording.subject)}</a></p>'
        f"<p>Code, if you are asked for it: <code>{html.escape(mail.token)}</code></p>"
    )
    await resources.mailer.send(
        Mail(to=mail.to, subject=wording.subject, text=text, html=rich, message_id=message_id)
    )
