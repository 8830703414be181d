"""Cursors of lists that are ordered newest first: the time and id of a page's last row."""

import base64
import binascii
import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi import Query

from alphapulse.domain.instruments import SYMBOL_PATTERN
from alphapulse.runtime.errors import Invalid

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=200)]
OfSymbol = Annotated[str | None, Query(pattern=SYMBOL_PATTERN)]


class InvalidCursor(Invalid):
    """A cursor that no page gave."""

    code = "invalid_cursor"
    title = "Invalid cursor"


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is asked for.

    Attributes
    ----------
    limit : int
        Most rows.
    before_at, before_id : datetime, UUID or None
        The row after which the page begins; None for the newest.
    """

    limit: int
    before_at: dt.datetime | None = None
    before_id: uuid.UUID | None = None

    @classmethod
    def of(cls, limit: int, cursor: str | None) -> Self:
        """Read a cursor.

        Raises
        ------
        InvalidCursor
            The text is none.
        """
        if cursor is None:
            return cls(limit)
        try:
            moment, _, row_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
            before_at = dt.datetime.fromisoformat(moment)
            if before_at.tzinfo is None:
                raise InvalidCursor("the cursor is not one this list gave")
            # A forged time may be out of bounds in UTC; it must overflow here and not in the driver.
            return cls(limit, before_at.astimezone(dt.UTC), uuid.UUID(row_id))
        except (binascii.Error, ValueError, OverflowError) as error:
            raise InvalidCursor("the cursor is not one this list gave") from error

    @property
    def arguments(self) -> dict[str, Any]:
        """The query's parameters; one row more than the page tells whether another follows."""
        return {"row_limit": self.limit + 1, "before_at": self.before_at, "before_id": self.before_id}

    def cut(self, rows: Sequence[Any], *, most: int | None = None) -> tuple[Sequence[Any], str | None]:
        """Return the page's rows, no more than `most`, and the cursor of the next page if there is one."""
        limit = self.limit if most is None else min(self.limit, most)
        if len(rows) <= limit:
            return rows, None
        page = rows[:limit]
        text = f"{page[-1]['created_at'].isoformat()}|{page[-1]['id']}"
        return page, base64.urlsafe_b64encode(text.encode()).decode()
