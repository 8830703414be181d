"""Shared market data."""

from alphapulse.data.migrations import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
