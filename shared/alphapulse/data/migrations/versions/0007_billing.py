"""Usage, subscriptions, invoices, Stripe events."""

from alphapulse.data.migrations import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the statements beside this file."""
    run_sql(__file__)
