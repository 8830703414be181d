"""What may be removed when its time is over, and events the broker refuses for good."""

from alphapulse.data.migrations import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
