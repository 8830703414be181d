"""A valid row for any table, made from the live catalogue."""

import datetime as dt
import re
import uuid
from decimal import Decimal
from typing import Any

import asyncpg

_NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_BY_NAME: dict[str, Any] = {
    "symbol": "BTC-USD",
    "currency": "USD",
    "email": "someone@example.com",
    "meter": "api_calls",
    "action": "trade.placed",
    "kind": "trade.filled",
    "url": "https://example.com/hook",
    "interval": "1h",
    "expires_at": _NOW + dt.timedelta(days=10_000),
    "deadline_at": _NOW + dt.timedelta(days=10_000),
    "contributions": "[]",
    "price": Decimal(100),
    "signal": "buy",
    "score": Decimal(0),
    "confidence": Decimal(0),
    "hash": b"0" * 32,
}
_BY_TYPE: dict[str, Any] = {
    "text": "text",
    "integer": 1,
    "bigint": 1,
    "boolean": False,
    "jsonb": "{}",
    "bytea": b"1" * 32,
    "text[]": ["BTC-USD"],
    "date": _NOW.date(),
    "timestamp with time zone": _NOW,
}
# Columns with a default or allowing null that another column's check asks for.
_ALSO = {
    "trades": ("price",),
    "paper_orders": ("price",),
    "agent_signals": ("signal", "score", "confidence"),
    "auto_trade_decisions": ("side", "quantity", "client_order_id"),
}
_COLUMNS = """
    SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type,
        a.attnotnull AND NOT a.atthasdef AS required,
        (SELECT string_agg(pg_get_constraintdef(c.oid), ' ') FROM pg_constraint c
            WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND c.conkey = ARRAY[a.attnum]) AS checks
    FROM pg_attribute a
    WHERE a.attrelid = ('alphapulse.' || $1)::regclass AND a.attnum > 0 AND NOT a.attisdropped"""


async def valid_row(connection: asyncpg.Connection, table: str, tenant: uuid.UUID) -> dict[str, Any]:
    """Return the columns a row of this tenant needs; foreign keys are not looked after."""
    row: dict[str, Any] = {}
    for column in await connection.fetch(_COLUMNS, table):
        name = column["name"]
        if name == "tenant_id" or (table == "tenants" and name == "id"):
            row[name] = tenant
        elif column["required"] or name in _ALSO.get(table, ()) or name == "id":
            row[name] = _value(name, column["type"], column["checks"] or "")
    return row


def insertion(table: str, row: dict[str, Any]) -> str:
    """Return the INSERT of such a row; its arguments are the row's values."""
    columns = ", ".join(row)
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({places})"


def _value(name: str, kind: str, checks: str) -> Any:
    if kind == "uuid":
        return uuid.uuid4()
    if kind == "text" and name not in _BY_NAME:
        allowed = re.search(r"= ANY \(ARRAY\['([a-z_]+)'", checks)
        if allowed:
            return allowed[1]
        return uuid.uuid4().hex[:8]
    if name in _BY_NAME:
        value = _BY_NAME[name]
        return float(value) if kind == "double precision" else value
    if kind == "numeric":
        return Decimal(1)
    return _BY_TYPE[kind]
