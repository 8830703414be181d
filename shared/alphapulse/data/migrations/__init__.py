"""Alembic's environment and the revisions; the revisions themselves are SQL files."""

from pathlib import Path


def run_sql(revision_file: str) -> None:
    """Execute the `.sql` file that lies beside a revision, in the migration's transaction.

    A prepared statement holds one command, so the file goes to asyncpg's own connection, which
    sends it as one script.
    """
    from alembic import op  # noqa: PLC0415 - only a migrating process has Alembic loaded
    from sqlalchemy.util import await_only  # noqa: PLC0415 - as above

    script = Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8")
    connection = op.get_bind()
    # SQLAlchemy begins its transaction with the first statement; the script must be inside it.
    connection.exec_driver_sql("SELECT 1")
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("the migration has no database connection")
    await_only(driver.execute(script))
