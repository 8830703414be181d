"""The portfolio, its positions, its history, and the snapshots that history is made of."""

import datetime as dt
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.instruments import Interval
from alphapulse.domain.money import ZERO, at_par_with_usd, decimal_text, exact
from alphapulse.events import Event
from alphapulse.runtime.errors import DependencyDown, Invalid, NotFound
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.trading.account import load_account
from alphapulse.trading.trades import time_text
from alphapulse.trading.venues import Venues
from functions.portfolio.valuation import portfolio_json, positions_json, price_max_age, value_account, valued

CACHE_KEY = "portfolio"
CACHE_TTL_SECONDS = 5.0
MOST_BUCKETS = 5000
_DEFAULT_RANGE = dt.timedelta(days=1)

sql = queries.load(__file__)


async def portfolio(scope: Scope, venues: Venues) -> dict[str, Any]:
    """Return the tenant's figures, at most 5 s old and never older than its last trade."""
    cached: dict[str, Any] | None = await scope.cache.get(CACHE_KEY)
    if cached is not None:
        return cached
    value = await valued(scope, venues)
    figures = portfolio_json(value, max_age=price_max_age(scope))
    await scope.cache.put(CACHE_KEY, value=figures, ttl_seconds=CACHE_TTL_SECONDS)
    return figures


async def positions(scope: Scope, venues: Venues) -> dict[str, Any]:
    """Return what is held."""
    value = await valued(scope, venues)
    return {
        "items": positions_json(value, max_age=price_max_age(scope)),
        "next_cursor": None,
    }


async def position(scope: Scope, venues: Venues, symbol: str) -> dict[str, Any]:
    """Return what is held of one symbol.

    Raises
    ------
    NotFound
        Nothing is.
    """
    value = await valued(scope, venues)
    found = positions_json(value, max_age=price_max_age(scope))
    for candidate in found:
        if candidate["symbol"] == symbol:
            return candidate
    raise NotFound("there is no such position")


async def history(
    work: TenantWork, *, start: dt.datetime | None, end: dt.datetime | None, interval: Interval
) -> dict[str, Any]:
    """Return the last snapshot of each interval between two moments.

    Raises
    ------
    Invalid
        `invalid_range`: it ends before it starts, or holds more than 5,000 intervals.
    """
    end = end or work.now
    start = start or end - _DEFAULT_RANGE
    width = dt.timedelta(seconds=interval.seconds)
    if start > end:
        raise Invalid("from must not be after to", code="invalid_range")
    if (end - start) / width > MOST_BUCKETS:
        raise Invalid(
            f"from and to must be at most {MOST_BUCKETS} intervals of {interval} apart", code="invalid_range"
        )
    rows = sql.history(work.session, tenant_id=work.tenant_id.value, start=start, end=end, width=width)
    return {
        "interval": interval.value,
        "items": [_snapshot_json(row) async for row in rows],
        "next_cursor": None,
    }


async def take_snapshot(event: Event, work: TenantWork, venues: Venues) -> Event:
    """Store the figures after a trade and tell that they have changed.

    Raises
    ------
    DependencyDown
        The portfolio cannot be valued, because a price is missing.
    """
    account = await load_account(work.session, now=work.now)
    value = await value_account(work.scope, venues, account)
    if value.equity is None or value.realised_pnl is None or value.unrealised_pnl is None:
        raise DependencyDown(f"no price for {', '.join(value.missing)}", code="price_unavailable")
    tenant_id, now = work.tenant_id.value, value.as_of
    with exact():
        cash = sum((amount for currency, amount in value.cash.items() if at_par_with_usd(currency)), ZERO)
    await sql.put_snapshot(
        work.session,
        tenant_id=tenant_id,
        id=uuid7(),
        at=now,
        currency=value.currency,
        equity=value.equity,
        cash=cash,
        realised_pnl=value.realised_pnl,
        unrealised_pnl=value.unrealised_pnl,
        leverage=value.leverage or ZERO,
        stale=value.stale,
    )
    await sql.raise_peak(
        work.session,
        tenant_id=tenant_id,
        equity=value.equity,
        day_start_equity=account.day_start_equity or value.equity,
        day=now.replace(hour=0, minute=0, second=0, microsecond=0),
        now=now,
    )
    work.after_commit(lambda: work.scope.cache.drop(CACHE_KEY))
    changed = {
        "equity": decimal_text(value.equity),
        "currency": value.currency,
        "as_of": time_text(now),
        "trade_id": event.data["id"],
    }
    return work.scope.event("portfolio.changed", changed)


def _snapshot_json(row: Any) -> dict[str, Any]:
    figures = ("equity", "cash", "realised_pnl", "unrealised_pnl", "leverage")
    return {
        "bucket": time_text(row["bucket"]),
        "at": time_text(row["at"]),
        **{name: decimal_text(row[name]) for name in figures},
        "stale": row["stale"],
    }
