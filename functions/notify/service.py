"""Tell people what happened: a row first, then the mail, then that it was sent.

A mail server knows no transaction. Between its answer and the row's `sent` a crash may fall; the mail
is then sent again, with the same Message-ID.
"""

import asyncio
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.events import Event
from alphapulse.runtime.errors import FunctionError, Invalid, Permanent, Transient
from alphapulse.runtime.resources import NotConfigured
from alphapulse.runtime.work import Scope, TenantWork
from functions.notify.wording import Wording, word

# Longer than a mail may take, so that no second sender begins beside a living one.
SENDING = dt.timedelta(seconds=60)

sql = queries.load(__file__)
logger: structlog.stdlib.BoundLogger = structlog.get_logger()


async def on_requested(event: Event, scope: Scope) -> None:
    """Tell everybody a notice is for; who has been told is not told again.

    Raises
    ------
    Invalid
        There is no such notice, or a parameter of it is missing.
    Transient
        Somebody has not been told yet: the mail server does not take mail, or another delivery of the
        event is sending it.
    """
    async with scope.transaction() as work:
        pending = await _record(work, event.data)
    # At once, as many as the mailer has places: a mail server that says nothing costs the time of one mail,
    # however many are to be told. One that fails does not keep the others from being told.
    outcomes = await asyncio.gather(*(_send(scope, notice) for notice in pending), return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if failures:
        # What is no Transient is a mistake of ours, and must be seen as one.
        raise next((error for error in failures if not isinstance(error, Transient)), failures[0])


async def on_dead_letter(event: Event, scope: Scope) -> None:
    """Give up on a notice that could not be sent for as long as the broker tried.

    Raises
    ------
    Invalid
        It was never recorded, so the event itself is all there is of it: the broker parks it.
    """
    key, code = event.data["dedupe_key"], event.extensions.get("knativeerrorcode", "none")
    tenant_id = scope.tenant_id.value
    async with scope.transaction() as work:
        await sql.give_up(
            work.session, tenant_id=tenant_id, dedupe_key=key, error=f"given up, the last answer was {code}"
        )
        known = [row async for row in sql.recorded(work.session, tenant_id=tenant_id, dedupe_key=key)]
    logger.error("notice_given_up", kind=event.data["kind"], recorded=len(known))
    if not known:
        raise Invalid("the notice was never recorded", code="notice_not_recorded")


async def newest(
    work: TenantWork, *, user_id: uuid.UUID, limit: int, before: uuid.UUID | None
) -> list[dict[str, Any]]:
    """Return the notices of a user, the newest first."""
    rows = sql.newest(
        work.session, tenant_id=work.tenant_id.value, user_id=user_id, limit=limit, before=before
    )
    return [dict(row) async for row in rows]


async def _record(work: TenantWork, data: Mapping[str, Any]) -> list[uuid.UUID]:
    """Write a row per recipient where there is none yet; return those that are to be sent."""
    tenant_id, key = work.tenant_id.value, data["dedupe_key"]
    parameters = data.get("parameters", {})
    wording = await _words(work, data["kind"], parameters)
    recipients = await _recipients(work, data["recipient"])
    if wording is None or not recipients:
        # A tenant that is being deleted has nobody left to tell.
        logger.warning("nobody_to_tell", kind=data["kind"])
        return []
    for user_id in recipients:
        await sql.record(
            work.session,
            tenant_id=tenant_id,
            id=uuid7(),
            user_id=user_id,
            kind=data["kind"],
            subject=wording.subject,
            body=wording.text,
            payload=parameters,
            dedupe_key=f"{key}:{user_id}",
            now=work.now,
        )
    rows = sql.recorded(work.session, tenant_id=tenant_id, dedupe_key=key)
    return [row["id"] async for row in rows if row["status"] == "pending"]


async def _recipients(work: TenantWork, recipient: str) -> list[uuid.UUID]:
    tenant_id = work.tenant_id.value
    if recipient == "owner":
        return [row["id"] async for row in sql.owners(work.session, tenant_id=tenant_id)]
    user = await sql.user(work.session, tenant_id=tenant_id, user_id=uuid.UUID(recipient))
    return [] if user is None else [user["id"]]


async def _words(work: TenantWork, kind: str, parameters: dict[str, Any]) -> Wording | None:
    public_url = work.scope.resources.settings.public_url
    if public_url is None:
        raise NotConfigured("PUBLIC_URL is not set")
    tenant = await sql.tenant(work.session, tenant_id=work.tenant_id.value)
    if tenant is None:
        return None
    return word(kind, parameters, company=tenant["company"], tier=tenant["tier"], public_url=public_url)


async def _send(scope: Scope, notice: uuid.UUID) -> None:
    """Send one notice and record what came of it."""
    tenant_id = scope.tenant_id.value
    async with scope.transaction() as work:
        claim = await sql.claim(
            work.session, tenant_id=tenant_id, id=notice, now=work.now, until=work.now + SENDING
        )
        if claim is None:
            if await sql.status(work.session, tenant_id=tenant_id, id=notice) != "pending":
                return
            raise Transient("another delivery is sending the notice", retry_after_seconds=5)
        wording = await _words(work, claim["kind"], claim["payload"])
        user = await sql.user(work.session, tenant_id=tenant_id, user_id=claim["user_id"])
    if wording is None or user is None:
        await _settle(scope, notice, status="failed", error="the recipient is gone")
        return
    try:
        await _mail(scope, notice, to=user["email"], wording=wording)
    except Permanent as refused:
        logger.warning("notice_refused", kind=claim["kind"], code=refused.code)
        await _settle(scope, notice, status="failed", error=refused.detail)
    except Exception as error:
        detail = error.detail if isinstance(error, FunctionError) else type(error).__name__
        await _settle(scope, notice, status="pending", error=detail)
        raise
    else:
        await _settle(scope, notice, status="sent", error=None)
        logger.info("notice_sent", kind=claim["kind"], attempt=claim["attempts"])


async def _mail(scope: Scope, notice: uuid.UUID, *, to: str, wording: Wording) -> None:
    from alphapulse.runtime.mail import Mail  # noqa: PLC0415 - not for the list of notices

    mail = Mail(to=to, subject=wording.subject, text=wording.text, html=wording.html, message_id=notice)
    await scope.resources.mailer.send(mail)


async def _settle(scope: Scope, notice: uuid.UUID, *, status: str, error: str | None) -> None:
    async with scope.transaction() as work:
        await sql.settle(
            work.session,
            tenant_id=work.tenant_id.value,
            id=notice,
            status=status,
            error=error,
            now=work.now,
        )
