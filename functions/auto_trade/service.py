"""Decide on a consensus, and ask for the order that follows from it."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any, Final

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.auto_trade import ORDER_LIFETIME, NoOrder, OrderIntent, pause, size
from alphapulse.domain.limits import default_limits
from alphapulse.domain.money import at_par_with_usd, decimal_text
from alphapulse.domain.orders import client_order_id
from alphapulse.domain.signals import Direction
from alphapulse.events import Event
from alphapulse.runtime.errors import DependencyDown
from alphapulse.runtime.events import handle_once
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.tenancy.states import TenantStatus
from alphapulse.trading.account import Account, load_account
from alphapulse.trading.venues import Venues
from alphapulse.venues.protocol import UnknownSymbol, Venue, VenueUnavailable
from functions.auto_trade.records import Consensus, Market, Settings

CONSUMER: Final = "auto-trade"

sql = queries.load(__file__)


async def on_consensus(event: Event, scope: Scope, venues: Venues) -> Event | None:
    """Decide once per consensus; reply with `trade.requested` when an order follows.

    Raises
    ------
    DependencyDown
        The exchange does not answer, it has no price of the symbol now, or there is a position since a
        moment ago whose price was not asked for; asked again, until the consensus is too old to trade on.
    """
    symbol = event.data["symbol"]
    if event.data["signal"] == Direction.HOLD.value or not event.data["quorum"]:
        return None
    async with scope.transaction() as work:
        settings = Settings.of(await sql.settings(work.session, tenant_id=work.tenant_id.value))
        if settings is None or not settings.covers(symbol):
            return None
        account = await load_account(work.session, now=work.now)
    # Outside of any transaction: the exchange may take its time.
    market = await _market(venues.account(settings.exchange, scope.tenant_id), symbol, account)

    async def decide(event: Event, work: TenantWork) -> Event | None:
        return await _decide(event, work, market)

    return await handle_once(event, scope, CONSUMER, decide)


async def _market(venue: Venue, symbol: str, account: Account) -> Market | None:
    try:
        instrument = await venue.instrument(symbol)
    except UnknownSymbol:
        return None
    except VenueUnavailable as error:
        raise DependencyDown(str(error), retry_after_seconds=5) from error
    asked = account.exposed_symbols | {symbol}
    return Market(instrument, asked, await venue.tickers(sorted(asked)))


async def _decide(event: Event, work: TenantWork, market: Market | None) -> Event | None:
    settings = Settings.of(await sql.lock_settings(work.session, tenant_id=work.tenant_id.value))
    consensus = await _consensus(work, event)
    if settings is None or consensus is None or not settings.covers(consensus.symbol):
        return None  # switched off since, or no consensus of this tenant
    if market is None:
        decided: OrderIntent | NoOrder = NoOrder(
            "unknown_symbol", f"{settings.exchange} does not trade {consensus.symbol}"
        )
    else:
        waits = await _why_not_now(work, settings, consensus)
        decided = waits or await _sized(work, settings, consensus, market)
    return await _store(work, settings, consensus, decided)


async def _consensus(work: TenantWork, event: Event) -> Consensus | None:
    """Read what was reached: an event is only told, a row is known."""
    consensus_id = uuid.UUID(event.data["id"])
    row = await sql.consensus(work.session, tenant_id=work.tenant_id.value, consensus_id=consensus_id)
    if row is None or not row["quorum"] or row["signal"] == Direction.HOLD.value:
        return None
    return Consensus(
        consensus_id,
        uuid.UUID(event.data["run_id"]),
        row["symbol"],
        Direction(row["signal"]),
        row["score"],
        row["created_at"],
    )


async def _why_not_now(work: TenantWork, settings: Settings, consensus: Consensus) -> NoOrder | None:
    now, tenant_id = work.now, work.tenant_id.value
    if settings.halted or await sql.trading_halted(work.session, tenant_id=tenant_id):
        return NoOrder("halted", "trading is halted")
    if now - consensus.created_at >= ORDER_LIFETIME:
        reached = consensus.created_at.isoformat(timespec="seconds")
        return NoOrder("too_late", f"the consensus is of {reached}, too old to trade on")
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    earlier = await sql.earlier_orders(work.session, tenant_id=tenant_id, symbol=consensus.symbol, day=day)
    return pause(settings.terms, now=now, **dict(earlier))


async def _sized(
    work: TenantWork, settings: Settings, consensus: Consensus, market: Market
) -> OrderIntent | NoOrder:
    if not at_par_with_usd(market.instrument.quote):
        return NoOrder("unsupported_quote_currency", "only symbols quoted in USD, USDT or USDC are traded")
    last = market.tickers.get(consensus.symbol)
    if last is None:
        raise DependencyDown(f"there is no price of {consensus.symbol}", retry_after_seconds=5)
    # First, so that an order which is committed in between counts twice and never not at all.
    coming = await sql.on_their_way(
        work.session,
        tenant_id=work.tenant_id.value,
        symbol=consensus.symbol,
        since=work.now - ORDER_LIFETIME,
    )
    account = await load_account(work.session, now=work.now)
    if account.tenant_status is not TenantStatus.ACTIVE:
        return NoOrder("tenant_not_active", f"the tenant is {account.tenant_status or 'gone'}")
    unasked = account.held.keys() - market.asked
    if unasked and consensus.direction is Direction.BUY:
        raise DependencyDown(f"there is a position in {', '.join(sorted(unasked))} since a moment ago")
    return size(
        consensus.direction,
        consensus.score,
        settings.terms,
        holding=account.holding(consensus.symbol).with_orders(**dict(coming)),
        equity=_equity(account, market, now=work.now),
        price=last.price,
        instrument=market.instrument,
    )


def _equity(account: Account, market: Market, *, now: dt.datetime) -> Decimal | None:
    limits = account.limits or default_limits(max_leverage=Decimal(1))
    quotes = {symbol: ticker.quote for symbol, ticker in market.tickers.items()}
    max_age = dt.timedelta(seconds=limits.price_max_age_seconds)
    return account.value(quotes, now=now, price_max_age=max_age).equity


async def _store(
    work: TenantWork, settings: Settings, consensus: Consensus, decided: OrderIntent | NoOrder
) -> Event | None:
    decision_id, key = uuid7(), f"auto-trade:{consensus.id}"
    none, order = (decided, None) if isinstance(decided, NoOrder) else (None, decided)
    stored = await sql.insert_decision(
        work.session,
        tenant_id=work.tenant_id.value,
        id=decision_id,
        consensus_id=consensus.id,
        run_id=consensus.run_id,
        symbol=consensus.symbol,
        signal=consensus.direction.value,
        score=consensus.score,
        settings_version=settings.version,
        exchange=settings.exchange,
        decision="none" if order is None else "order",
        reason_code=none and none.code,
        reason=none and none.reason,
        side=order and order.side.value,
        quantity=order and order.quantity,
        client_order_id=order and client_order_id(work.tenant_id.value, key),
        created_at=work.now,
    )
    if order is None or stored is None:
        return None
    data = _request(decision_id, key, settings, consensus, order, now=work.now)
    return work.scope.event("trade.requested", data, symbol=consensus.symbol)


def _request(
    decision_id: uuid.UUID,
    key: str,
    settings: Settings,
    consensus: Consensus,
    order: OrderIntent,
    *,
    now: dt.datetime,
) -> dict[str, Any]:
    return {
        "request_id": str(decision_id),
        "idempotency_key": key,
        "symbol": consensus.symbol,
        "side": order.side.value,
        "type": "market",
        "quantity": decimal_text(order.quantity),
        "exchange": settings.exchange,
        "requested_at": _rfc3339(now),
        "expires_at": _rfc3339(consensus.created_at + ORDER_LIFETIME),
    }


def _rfc3339(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
