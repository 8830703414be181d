"""What can go wrong with the database.

    DatabaseError
    +-- DatabaseUnavailable      no connection, server restarting, lock or statement timeout, deadlock: the
    |   |                        same transaction may work later; only a COMMIT whose answer was lost leaves
    |   |                        open whether it was committed
    |   `-- PoolExhausted        all connections of this process are in use
    |-- ConstraintViolated       the statement contradicts what is stored; names the constraint
    |   +-- UniqueViolated       the row is there already
    |   `-- ReferenceMissing     the row refers to one that is not there
    |-- NotCommitted             a failed statement was ignored: the commit became a rollback
    `-- StatementRefused         a statement that a scoped session does not run

None of the texts carries a value of a row, a password or an address.
"""


class DatabaseError(Exception):
    """Root of the database's errors."""


class DatabaseUnavailable(DatabaseError):
    """The work may be tried again; unless COMMIT itself went unanswered, it was not done.

    Attributes
    ----------
    retry_after_seconds : int
        When trying again makes sense.
    """

    def __init__(self, reason: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class PoolExhausted(DatabaseUnavailable):
    """No connection became free in time; those there are work, so none is thrown away."""


class ConstraintViolated(DatabaseError):
    """A statement contradicts a constraint; the transaction can only be rolled back.

    Attributes
    ----------
    constraint, table : str
        Their names; empty when PostgreSQL does not tell.
    """

    def __init__(self, *, constraint: str, table: str) -> None:
        super().__init__(f"constraint {constraint!r} of table {table!r} is violated")
        self.constraint = constraint
        self.table = table


class UniqueViolated(ConstraintViolated):
    """There is such a row already."""


class ReferenceMissing(ConstraintViolated):
    """A referenced row is not there, or is still referred to."""


class StatementRefused(DatabaseError):
    """A statement would leave the transaction or change the tenant."""


class NotCommitted(DatabaseError):
    """A statement had failed and the error was swallowed, so PostgreSQL rolled the transaction back."""
