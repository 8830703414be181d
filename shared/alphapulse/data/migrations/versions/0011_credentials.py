"""Exchange credentials: health and rotation."""

from alphapulse.data.migrations import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
