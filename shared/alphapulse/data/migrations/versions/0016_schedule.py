"""Subscriptions to signals, and what became of signals."""

from alphapulse.data.migrations import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
