"""Outbox, processed events, idempotency keys."""

from alphapulse.data.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
