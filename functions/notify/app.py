"""The event and the route of `notify` and their wiring."""

import uuid
from typing import Annotated

from fastapi import Query
from starlette.types import ASGIApp

from alphapulse.events import Event
from alphapulse.runtime.events import EventHandlers
from alphapulse.runtime.http import Work, http_app, tenant_router
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope
from functions.notify import service
from functions.notify.schemas import NoticeList, NoticeView

tenant = tenant_router()


def build(resources: Resources) -> ASGIApp:
    """Build the function's app."""
    events = EventHandlers(consumer="notify", stepped={"notification.requested": _on_requested})
    return http_app(resources, title="notify", routers=[tenant], events=events)


async def _on_requested(event: Event, scope: Scope) -> None:
    # The function is its own dead-letter sink: what came back from there carries the reason.
    if "knativeerrordest" in event.extensions:
        await service.on_dead_letter(event, scope)
    else:
        await service.on_requested(event, scope)


@tenant.get("/notifications")
async def notifications(
    work: Work,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[uuid.UUID | None, Query()] = None,
) -> NoticeList:
    """Return what the caller was told by mail, the newest first."""
    found = await service.newest(work, user_id=work.principal.user_id, limit=limit + 1, before=cursor)
    page = [NoticeView.model_validate(row) for row in found[:limit]]
    return NoticeList(items=page, next_cursor=str(page[-1].id) if len(found) > limit else None)
