"""Make a new tenant a customer of the payment service."""

from typing import Any

from alphapulse.data import queries
from alphapulse.provisioning.runs import Run
from alphapulse.runtime.errors import Invalid
from alphapulse.runtime.work import TenantWork

sql = queries.load(__file__)


async def make_customer(work: TenantWork, run: Run) -> dict[str, Any]:
    """Make the customer, begin its trial where the tier has a price, and record both.

    The run's id is the attempt's name at the payment service: a repetition gets the same customer,
    and a new run after an undone one gets a new customer.

    Raises
    ------
    Invalid
        The tenant has no owner.
    """
    session, tenant_id = work.session, work.tenant_id
    billing, attempt = work.scope.resources.billing, str(run.id)
    email = await sql.owner_address(session, tenant_id=tenant_id.value)
    if email is None:
        raise Invalid("the tenant has no owner", code="no_owner")
    customer_id = await billing.create_customer(
        tenant_id, email=email, company=run.company, tier=run.tier, attempt=attempt
    )
    trial = await billing.start_trial(customer_id, tenant_id=tenant_id, tier=run.tier, attempt=attempt)
    # Without a price nothing is charged: the tenant's own trial period is all there is.
    trial_ends_at = await sql.trial_ends_at(session, tenant_id=tenant_id.value)
    await sql.record_customer(
        session,
        tenant_id=tenant_id.value,
        tier=run.tier.value,
        status=trial.status if trial else "trialing",
        customer_id=customer_id,
        subscription_id=trial.id if trial else None,
        price_id=trial.price_id if trial else None,
        period_start=trial.current_period_start if trial else None,
        period_end=trial.current_period_end if trial else None,
        trial_ends_at=trial.trial_ends_at if trial else trial_ends_at,
        now=work.now,
    )
    return {"customer": customer_id, "subscription": trial.id if trial else None}
