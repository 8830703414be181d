"""What a signal was made from, so that it can be made again."""

from alphapulse.data.migrations import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
