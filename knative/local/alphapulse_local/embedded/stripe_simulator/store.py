"""What the simulation knows, in one SQLite file."""

import json
import secrets
import sqlite3
import string
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from alphapulse_local.embedded.stripe_simulator.errors import Refusal

Document = dict[str, Any]

_ID_LENGTH = 14
_ALPHABET = string.ascii_letters + string.digits
_KEEP_KEYS_SECONDS = 24 * 3600
_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    -- What lists of this kind are filtered by: a customer's address, a subscription's customer.
    owner TEXT NOT NULL DEFAULT '',
    deleted INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_owner ON objects (kind, owner);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    at REAL NOT NULL
);
"""


@dataclass(frozen=True)
class Answer:
    """A kept answer to a request with an idempotency key."""

    request: str
    status: int
    body: str


class Store:
    """Objects by id, and answers by idempotency key; `with store:` is one transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_TABLES)

    def __enter__(self) -> Self:
        self._database.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.__exit__(kind, error, trace)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, body: Document, *, owner: str = "") -> None:
        """Keep a new object."""
        self._database.execute(
            "INSERT INTO objects (id, kind, owner, body) VALUES (?, ?, ?, ?)",
            (body["id"], body["object"], owner, json.dumps(body)),
        )

    def change(self, body: Document, *, owner: str = "") -> None:
        """Keep the new state of an object."""
        self._database.execute(
            "UPDATE objects SET body = ?, owner = ? WHERE id = ?", (json.dumps(body), owner, body["id"])
        )

    def delete(self, number: str) -> None:
        """Mark an object as deleted; lists leave it out."""
        self._database.execute("UPDATE objects SET deleted = 1 WHERE id = ?", (number,))

    def get(self, kind: str, number: str) -> Document | None:
        """Return an object; None when there is none, `{..., "deleted": True}` when it was deleted."""
        row = self._database.execute(
            "SELECT body, deleted FROM objects WHERE id = ? AND kind = ?", (number, kind)
        ).fetchone()
        if row is None:
            return None
        body: Document = json.loads(row[0])
        return {"id": number, "object": kind, "deleted": True} if row[1] else body

    def all(self, kind: str, *, owner: str | None = None) -> list[Document]:
        """Return the objects of a kind, the newest first; those of one owner if given."""
        rows = self._database.execute(
            "SELECT body FROM objects WHERE kind = ? AND deleted = 0 AND (? IS NULL OR owner = ?)"
            " ORDER BY number DESC",
            (kind, owner, owner),
        )
        return [json.loads(row[0]) for row in rows]

    def answer(self, key: str) -> Answer | None:
        """Return the answer kept for a key within the last day."""
        row = self._database.execute(
            "SELECT request, status, body FROM answers WHERE key = ? AND at > ?",
            (key, time.time() - _KEEP_KEYS_SECONDS),
        ).fetchone()
        return None if row is None else Answer(*row)

    def keep(self, key: str, answer: Answer) -> None:
        """Keep an answer for a day."""
        self._database.execute("DELETE FROM answers WHERE at <= ?", (time.time() - _KEEP_KEYS_SECONDS,))
        self._database.execute(
            "INSERT INTO answers (key, request, status, body, at) VALUES (?, ?, ?, ?, ?)",
            (key, answer.request, answer.status, answer.body, time.time()),
        )


def new_id(prefix: str) -> str:
    """Return an id such as `cus_Na6dX7aXxi11N4`."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def now() -> int:
    """Return the time as Stripe writes it: whole seconds."""
    return int(time.time())


def page(found: list[Document], *, url: str, limit: int, after: str | None, before: str | None) -> Document:
    """Return one page of a list.

    Raises
    ------
    Refusal
        A cursor names nothing in the list.
    """
    ids = [body["id"] for body in found]
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None and cursor not in ids:
            raise Refusal(f"No such object: '{cursor}'", code="resource_missing", param=name)
    if after is not None:
        rest = found[ids.index(after) + 1 :]
        shown = rest[:limit]
    elif before is not None:
        rest = found[: ids.index(before)]
        shown = rest[-limit:]
    else:
        rest, shown = found, found[:limit]
    return {"object": "list", "url": url, "has_more": len(rest) > len(shown), "data": shown}
