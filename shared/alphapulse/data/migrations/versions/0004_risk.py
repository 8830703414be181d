"""Risk limits, risk runs, optimisation runs."""

from alphapulse.data.migrations import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
