"""Agent configuration, runs, signals, consensus."""

from alphapulse.data.migrations import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
