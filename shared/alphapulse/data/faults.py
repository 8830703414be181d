"""From asyncpg's errors to the product's."""

from typing import TYPE_CHECKING, Any

from alphapulse.data.errors import (
    ConstraintViolated,
    DatabaseError,
    DatabaseUnavailable,
    ReferenceMissing,
    UniqueViolated,
)

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

# SQLSTATE: the server is going away or full, or this transaction lost against another one.
_TRANSIENT = {
    "25P03": "the transaction was idle for too long",
    "40001": "the transaction conflicted with another one",
    "40P01": "the transaction was the victim of a deadlock",
    "53300": "the server has no connection left",
    "53400": "the server is at a configured limit",
    "55P03": "a lock was not available in time",
    "57014": "the statement took too long",
    "57P01": "the server is shutting down",
    "57P02": "the server crashed",
    "57P03": "the server is starting or stopping",
    "57P05": "the connection was idle for too long",
}
_CONNECTION_CLASS = "08"
_INTEGRITY_CLASS = "23"
_CONSTRAINTS: dict[str, type[ConstraintViolated]] = {"23505": UniqueViolated, "23503": ReferenceMissing}


def translate(error: BaseException, connection: "PoolConnectionProxy[Any]") -> DatabaseError | None:
    """Return the product's error, or None for one that only a mistake in the code explains.

    Parameters
    ----------
    error
        What asyncpg raised.
    connection
        Where: on a closed one, whatever was raised was raised for that.
    """
    if not isinstance(error, Exception):
        return None
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        if state in _TRANSIENT:
            return DatabaseUnavailable(_TRANSIENT[state])
        if state.startswith(_CONNECTION_CLASS):
            return DatabaseUnavailable("the connection was lost")
        if state.startswith(_INTEGRITY_CLASS):
            violated = _CONSTRAINTS.get(state, ConstraintViolated)
            return violated(
                constraint=getattr(error, "constraint_name", None) or "",
                table=getattr(error, "table_name", None) or "",
            )
    if isinstance(error, OSError) or is_lost(connection):
        return DatabaseUnavailable("the connection was lost")
    return None


def is_lost(connection: "PoolConnectionProxy[Any]") -> bool:
    """Tell whether a connection is closed; the pool takes back one that broke, and leaves a husk."""
    import asyncpg  # noqa: PLC0415 - loaded already

    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True
