"""Audit log, notifications, webhook endpoints."""

from alphapulse.data.migrations import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
