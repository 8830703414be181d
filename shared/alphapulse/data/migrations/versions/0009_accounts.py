"""Accounts: verification, one-time tokens, second factor."""

from alphapulse.data.migrations import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
