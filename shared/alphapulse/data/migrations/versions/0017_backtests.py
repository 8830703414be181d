"""Backtests."""

from alphapulse.data.migrations import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
