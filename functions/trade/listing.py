"""Reading orders back."""

import base64
import binascii
import datetime as dt
import uuid
from typing import Any

from alphapulse.data import queries
from alphapulse.domain.orders import OrderStatus
from alphapulse.runtime.errors import Invalid, NotFound
from alphapulse.runtime.work import TenantWork
from alphapulse.trading.trades import Trade

sql = queries.load(__file__)


async def trades(
    work: TenantWork, *, symbol: str | None, status: OrderStatus | None, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Return a page of orders, newest first.

    Raises
    ------
    Invalid
        `invalid_cursor`.
    """
    before, before_id = (None, None) if cursor is None else _read_cursor(cursor)
    rows = [
        row
        async for row in sql.trades(
            work.session,
            tenant_id=work.tenant_id.value,
            symbol=symbol,
            status=None if status is None else status.value,
            before=before,
            before_id=before_id,
            limit=limit + 1,
        )
    ]
    page = [Trade.from_row(row) for row in rows[:limit]]
    return {
        "items": [item.to_json() for item in page],
        "next_cursor": _cursor_after(page[-1]) if len(rows) > limit else None,
    }


def trade_id_of(text: str) -> uuid.UUID:
    """Read an id out of a path.

    Raises
    ------
    NotFound
        The text is no UUID, so there can be no such thing.
    """
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFound("there is no such trade") from error


def _cursor_after(last: Trade) -> str:
    text = f"{last.created_at.isoformat()} {last.id}"
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read_cursor(cursor: str) -> tuple[dt.datetime, uuid.UUID]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, trade_id = text.partition(" ")
        # A forged time may be out of bounds in UTC; it must overflow here and not in the driver.
        before = dt.datetime.fromisoformat(moment).astimezone(dt.UTC)
        return before, uuid.UUID(trade_id)
    except (binascii.Error, ValueError, OverflowError) as error:
        raise Invalid("cursor must be one that an earlier answer gave", code="invalid_cursor") from error
