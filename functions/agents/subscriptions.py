"""Subscriptions: what the schedule asks the agents for a tenant each time a bar closes."""

import datetime as dt
import uuid
from typing import Annotated, Any, Final

from fastapi import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.instruments import SYMBOL_PATTERN, Interval
from alphapulse.market.instruments import unknown_symbols
from alphapulse.runtime.errors import Conflict, NotFound
from alphapulse.runtime.http import Work, tenant_router
from alphapulse.runtime.work import TenantWork
from functions.agents.catalogue import AgentName, require_within_tier
from functions.agents.pages import Cursor, Limit, Page
from functions.agents.runs import UnknownSymbols, require_enabled
from functions.agents.schemas import distinct
from functions.agents.settings import default_interval, settings_in_force

MOST_SUBSCRIPTIONS: Final = 100

router = tenant_router()
sql = queries.load(__file__, "subscriptions.sql")


class TooManySubscriptions(Conflict):
    """The tenant has as many subscriptions as it may have."""

    code = "too_many_subscriptions"
    title = "Too many subscriptions"


class SubscriptionNotFound(NotFound):
    """There is no such subscription, or it is another tenant's."""

    code = "subscription_not_found"
    title = "Subscription not found"


class SubscriptionRequest(BaseModel):
    """What to ask each time a bar closes; without agents those that are switched on then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN)]
    interval: Interval | None = None
    agents: Annotated[list[AgentName], Field(min_length=1, max_length=6), AfterValidator(distinct)] | None = (
        None
    )
    enabled: Annotated[bool, Field(strict=True)] = True


class SubscriptionView(BaseModel):
    """A subscription; `agents` is null for those that are switched on when a bar closes.

    `last_tick_at` is the close for which the newest run of the interval was begun, `last_run_id` that run;
    both null when it did not ask about the symbol.
    """

    id: uuid.UUID
    symbol: str
    interval: Interval
    agents: list[AgentName] | None
    enabled: bool
    created_at: dt.datetime
    updated_at: dt.datetime
    last_run_id: uuid.UUID | None
    last_tick_at: dt.datetime | None


class Subscriptions(BaseModel):
    """A page of subscriptions, newest first."""

    items: list[SubscriptionView]
    next_cursor: str | None


@router.get("/agents/subscriptions")
async def list_subscriptions(work: Work, limit: Limit = 50, cursor: Cursor = None) -> Subscriptions:
    """List what is asked each time a bar closes, newest first."""
    page = Page.of(limit, cursor)
    found = sql.subscriptions(work.session, tenant_id=work.tenant_id.value, one_id=None, **page.arguments)
    rows, next_cursor = page.cut([row async for row in found])
    return Subscriptions(items=[SubscriptionView(**dict(row)) for row in rows], next_cursor=next_cursor)


@router.post(
    "/agents/subscriptions",
    status_code=201,
    responses={200: {"description": "There was one of the symbol and interval; it has been changed."}},
)
async def subscribe(body: SubscriptionRequest, work: Work, response: Response) -> SubscriptionView:
    """Have agents asked about a symbol each time a bar closes; again for the same changes what is asked."""
    interval = await _checked(work, body)
    await sql.lock(work.session, tenant_id=work.tenant_id.value)
    before = await sql.existing(
        work.session, tenant_id=work.tenant_id.value, symbol=body.symbol, interval=interval.value
    )
    if before is None:
        subscription_id = await _insert(work, body, interval)
    else:
        subscription_id = before["id"]
        response.status_code = 200
        await _change(work, body, before)
    [found] = [row async for row in _one(work, subscription_id)]
    return SubscriptionView(**dict(found))


@router.delete("/agents/subscriptions/{subscription_id}", status_code=204)
async def unsubscribe(subscription_id: uuid.UUID, work: Work) -> None:
    """End a subscription; runs that have begun go on."""
    row = await sql.delete(work.session, tenant_id=work.tenant_id.value, id=subscription_id)
    if row is None:
        raise SubscriptionNotFound(f"there is no subscription {subscription_id}")
    await _audit(work, "agents.unsubscribed", subscription_id, dict(row))


async def _checked(work: TenantWork, body: SubscriptionRequest) -> Interval:
    """Return the interval, if everything that is asked for can be asked."""
    tier = work.principal.tier
    settings = await settings_in_force(work, tier)
    if body.agents is not None:
        require_within_tier(tier, len(body.agents))
        require_enabled(body.agents, settings)
    missing = await unknown_symbols(work.session, [body.symbol])
    if missing:
        raise UnknownSymbols(missing)
    return body.interval or default_interval(settings)


async def _insert(work: TenantWork, body: SubscriptionRequest, interval: Interval) -> uuid.UUID:
    if await sql.count(work.session, tenant_id=work.tenant_id.value) >= MOST_SUBSCRIPTIONS:
        raise TooManySubscriptions(
            f"a tenant has at most {MOST_SUBSCRIPTIONS} subscriptions; end one first",
            extra={"limit": MOST_SUBSCRIPTIONS},
        )
    subscription_id = uuid7()
    wanted = {
        "symbol": body.symbol,
        "interval": interval.value,
        "agents": body.agents,
        "enabled": body.enabled,
    }
    await sql.insert(
        work.session,
        tenant_id=work.tenant_id.value,
        id=subscription_id,
        **wanted,
        created_by=work.principal.user_id,
        now=work.now,
    )
    await _audit(work, "agents.subscribed", subscription_id, wanted)
    return subscription_id


async def _change(work: TenantWork, body: SubscriptionRequest, before: Any) -> None:
    after = {"agents": body.agents, "enabled": body.enabled}
    if after == {"agents": before["agents"], "enabled": before["enabled"]}:
        return
    await sql.change(work.session, tenant_id=work.tenant_id.value, id=before["id"], **after, now=work.now)
    told = {"symbol": before["symbol"], "interval": before["interval"], **after}
    await _audit(work, "agents.subscription_changed", before["id"], told)


def _one(work: TenantWork, subscription_id: uuid.UUID) -> Any:
    return sql.subscriptions(
        work.session, tenant_id=work.tenant_id.value, one_id=subscription_id, **Page.of(1, None).arguments
    )


async def _audit(work: TenantWork, action: str, subscription_id: uuid.UUID, details: dict[str, Any]) -> None:
    await work.audit(
        action, resource_type="agent_subscription", resource_id=str(subscription_id), details=details
    )
