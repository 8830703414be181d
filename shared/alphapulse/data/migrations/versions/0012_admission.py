"""What the runtime reads to admit a request."""

from alphapulse.data.migrations import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
