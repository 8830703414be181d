"""Answers of `notify`."""

import datetime as dt
import uuid

from pydantic import BaseModel


class NoticeView(BaseModel):
    """Something a user was told."""

    id: uuid.UUID
    kind: str
    subject: str
    body: str
    created_at: dt.datetime
    read_at: dt.datetime | None


class NoticeList(BaseModel):
    """Notices, the newest first; `next_cursor` continues."""

    items: list[NoticeView]
    next_cursor: str | None
