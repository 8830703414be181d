"""Provisioning saga: creation and removal of tenants."""

from alphapulse.data.migrations import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
