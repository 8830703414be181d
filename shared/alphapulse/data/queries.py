"""Named queries out of `.sql` files."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


class Queries:
    """The queries of one file, each a method that takes a session and the query's parameters.

    The suffix of a query's name in the file says what it returns: none, all rows one by one
    (`async for`); `^`, one row or None; `$`, one value; `!`, the command's status; `*!`, nothing,
    for a list of parameter sets; `<!`, the row of a RETURNING.

    The file is read, and the library that reads it loaded (about 45 ms), with the first query.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Callable[..., Any]:
        query: Callable[..., Any] = getattr(_parse(self._path), name)
        setattr(self, name, query)
        return query

    def __repr__(self) -> str:
        return f"Queries({self._path.name!r})"


def load(beside: str | Path, name: str = "queries.sql") -> Queries:
    """Return the queries of the file `name` that lies beside another file.

    Parameters
    ----------
    beside
        `__file__` of the module that uses the queries.
    name
        The SQL file's name.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    path = Path(beside).with_name(name)
    if not path.is_file():
        raise FileNotFoundError(f"no query file {name!r} beside {Path(beside).name!r}")
    return Queries(path)


@cache
def _parse(path: Path) -> Any:
    import aiosql  # noqa: PLC0415 - an idle function does not pay for it

    return aiosql.from_path(path, "asyncpg", mandatory_parameters=False)
