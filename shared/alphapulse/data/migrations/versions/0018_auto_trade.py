"""Trading on a consensus: what a tenant allows, and what was decided on each one."""

from alphapulse.data.migrations import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
