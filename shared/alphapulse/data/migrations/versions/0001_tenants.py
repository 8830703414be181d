"""Tenants, users, sessions, configuration, provisioning."""

from alphapulse.data.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
