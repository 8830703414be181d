"""Open a new tenant's books."""

from decimal import Decimal
from typing import Any, Final

from alphapulse.data import queries
from alphapulse.provisioning.runs import Run
from alphapulse.runtime.work import TenantWork
from alphapulse.tenancy.tiers import LIMITS

PAPER_CASH: Final = Decimal(100_000)

sql = queries.load(__file__)


async def open_books(work: TenantWork, run: Run) -> dict[str, Any]:
    """Store settings, risk limits of the tier, a portfolio, and 100,000 USD on the paper exchange."""
    await sql.open_books(
        work.session,
        tenant_id=work.tenant_id.value,
        max_leverage=LIMITS[run.tier].max_leverage,
        cash=PAPER_CASH,
        now=run.created_at,
    )
    return {"paper_cash": f"{PAPER_CASH} USD"}
