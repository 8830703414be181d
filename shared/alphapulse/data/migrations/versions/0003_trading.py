"""Trades, positions, balances, the paper book."""

from alphapulse.data.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
