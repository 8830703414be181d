"""Where everything is kept: one SQLite file that only its owner can read, not encrypted."""

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID
"""
_LAST_CHARACTER = "\U0010ffff"


class Storage:
    """JSON documents by kind and name.

    One request is one transaction: after `kill -9` it is there as a whole or not at all.
    """

    def __init__(self, file: Path) -> None:
        # SQLite gives the files beside it the same mode.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.RLock()
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(_SCHEMA)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Run one request at a time; undo what a failed one has changed."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return a document."""
        row = self._database.execute(
            "SELECT value FROM entries WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, kind: str, name: str, value: dict[str, Any]) -> None:
        """Store a document."""
        self._database.execute("REPLACE INTO entries VALUES (?, ?, ?)", (kind, name, json.dumps(value)))

    def delete(self, kind: str, name: str) -> bool:
        """Remove a document and say whether it was there."""
        done = self._database.execute("DELETE FROM entries WHERE kind = ? AND name = ?", (kind, name))
        return done.rowcount > 0

    def names(self, kind: str, *, prefix: str = "") -> list[str]:
        """Return names in order."""
        rows = self._database.execute(
            "SELECT name FROM entries WHERE kind = ? AND name >= ? AND name < ? ORDER BY name",
            (kind, prefix, prefix + _LAST_CHARACTER),
        )
        return [name for (name,) in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
