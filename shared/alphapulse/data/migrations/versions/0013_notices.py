"""Who sends a notice at the moment."""

from alphapulse.data.migrations import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
