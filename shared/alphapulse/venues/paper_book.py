"""The paper exchange's book: its orders and fills in tables and transactions of their own."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.money import ACCOUNT_CURRENCY, ZERO, Money, at_par_with_usd, exact
from alphapulse.domain.orders import Fill, OrderStatus, Side
from alphapulse.domain.paper import PaperFill
from alphapulse.tenancy.database import Database, TenantSession
from alphapulse.tenancy.tenant import TenantId
from alphapulse.venues.protocol import NewOrder, VenueOrder

sql = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Resting:
    """A limit order that waits for its price; market data up to `matched_until` has been looked at."""

    id: uuid.UUID
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    matched_until: dt.datetime


class PaperBook:
    """One tenant's part of the book."""

    def __init__(self, tenant_id: TenantId, database: Database) -> None:
        self._tenant_id = tenant_id
        self._database = database

    async def place(
        self,
        order: NewOrder,
        fill: PaperFill | None,
        *,
        status: OrderStatus,
        reason: str | None,
        now: dt.datetime,
    ) -> VenueOrder:
        """Enter an order with its fill, or return the one that its client order id names already."""
        order_id, fill_id = uuid7(), uuid7()
        async with self._database.tenant(self._tenant_id) as session:
            placed = await sql.insert_order(
                session,
                tenant_id=self._tenant_id.value,
                order_id=order_id,
                client_order_id=order.client_order_id,
                symbol=order.symbol,
                side=order.side.value,
                type=order.type.value,
                time_in_force=order.time_in_force.value,
                quantity=order.quantity,
                price=order.price,
                status=status.value,
                filled_quantity=fill.quantity if fill else ZERO,
                average_price=fill.price if fill else None,
                fee_amount=fill.fee if fill else ZERO,
                fee_currency=_quote(order.symbol),
                reason=reason,
                fill_id=fill_id,
                now=now,
            )
            if placed is None:
                return await self._read(session, order.client_order_id)
        return VenueOrder(
            client_order_id=order.client_order_id,
            venue_order_id=str(order_id),
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            status=status,
            fills=[] if fill is None else [_taken(fill, fill_id, order.symbol, now)],
            reason=reason,
        )

    async def find(self, client_order_id: str) -> VenueOrder | None:
        """Return an order by client order id, or None."""
        async with self._database.tenant(self._tenant_id) as session:
            row = await self._row(session, client_order_id)
            return None if row is None else await self._with_fills(session, row)

    async def resting(self, client_order_id: str | None = None) -> Sequence[Resting]:
        """Return the orders that wait, oldest first; the one named, if it does."""
        async with self._database.tenant(self._tenant_id) as session:
            rows = sql.resting(session, tenant_id=self._tenant_id.value, client_order_id=client_order_id)
            return [
                Resting(
                    row["id"],
                    row["symbol"],
                    Side(row["side"]),
                    row["quantity"],
                    row["price"],
                    row["matched_until"],
                )
                async for row in rows
            ]

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return the orders that wait, oldest first."""
        async with self._database.tenant(self._tenant_id) as session:
            rows = [row async for row in sql.open_orders(session, tenant_id=self._tenant_id.value)]
            return [await self._with_fills(session, row) for row in rows]

    async def note_matched(self, order: Resting, *, until: dt.datetime, now: dt.datetime) -> None:
        """Remember up to when the market has been looked at."""
        async with self._database.tenant(self._tenant_id) as session:
            await sql.note_matched(
                session,
                tenant_id=self._tenant_id.value,
                order_id=order.id,
                matched_until=until,
                now=now,
            )

    async def fill(
        self, order: Resting, fill: PaperFill, *, at: dt.datetime, until: dt.datetime, now: dt.datetime
    ) -> None:
        """Fill a resting order whole; one that rests no more stays as it is."""
        async with self._database.tenant(self._tenant_id) as session:
            closed = await sql.close_filled(
                session,
                tenant_id=self._tenant_id.value,
                order_id=order.id,
                quantity=fill.quantity,
                price=fill.price,
                fee_amount=fill.fee,
                matched_until=until,
                now=now,
            )
            if closed is not None:
                await self._insert_fill(session, order, fill, at=at)

    async def cancel(self, client_order_id: str, *, now: dt.datetime) -> VenueOrder | None:
        """Cancel an order if it rests; return it as it then is, or None when there is none."""
        async with self._database.tenant(self._tenant_id) as session:
            await sql.cancel(
                session,
                tenant_id=self._tenant_id.value,
                client_order_id=client_order_id,
                reason="cancelled on request",
                now=now,
            )
            row = await self._row(session, client_order_id)
            return None if row is None else await self._with_fills(session, row)

    async def moved(self) -> Mapping[str, Decimal]:
        """Return what all fills added to or took from the account, by currency; at par means USD."""
        async with self._database.tenant(self._tenant_id) as session:
            rows = [row async for row in sql.movements(session, tenant_id=self._tenant_id.value)]
        totals: dict[str, Decimal] = {}
        with exact():
            for row in rows:
                base, _, quote = row["symbol"].partition("-")
                cash = ACCOUNT_CURRENCY if at_par_with_usd(quote) else quote
                sign = 1 if row["side"] == Side.BUY else -1
                totals[base] = totals.get(base, ZERO) + sign * row["quantity"]
                totals[cash] = totals.get(cash, ZERO) - sign * row["notional"] - row["fees"]
        return totals

    async def _insert_fill(
        self, session: TenantSession, order: Resting, fill: PaperFill, *, at: dt.datetime
    ) -> None:
        await sql.insert_fill(
            session,
            tenant_id=self._tenant_id.value,
            fill_id=uuid7(),
            order_id=order.id,
            quantity=fill.quantity,
            price=fill.price,
            fee_amount=fill.fee,
            fee_currency=_quote(order.symbol),
            filled_at=at,
        )

    async def _row(self, session: TenantSession, client_order_id: str) -> Any:
        return await sql.order_by_client_id(
            session, tenant_id=self._tenant_id.value, client_order_id=client_order_id
        )

    async def _read(self, session: TenantSession, client_order_id: str) -> VenueOrder:
        return await self._with_fills(session, await self._row(session, client_order_id))

    async def _with_fills(self, session: TenantSession, row: Mapping[str, Any]) -> VenueOrder:
        fills = sql.fills_of(session, tenant_id=self._tenant_id.value, order_id=row["id"])
        return VenueOrder(
            client_order_id=row["client_order_id"],
            venue_order_id=str(row["id"]),
            symbol=row["symbol"],
            side=Side(row["side"]),
            quantity=row["quantity"],
            status=OrderStatus(row["status"]),
            fills=[_fill(fill) async for fill in fills],
            reason=row["reason"],
        )


def _quote(symbol: str) -> str:
    return symbol.partition("-")[2]


def _taken(fill: PaperFill, fill_id: uuid.UUID, symbol: str, now: dt.datetime) -> Fill:
    return Fill(
        execution_id=str(fill_id),
        quantity=fill.quantity,
        price=fill.price,
        fee=Money(fill.fee, _quote(symbol)),
        executed_at=now,
    )


def _fill(row: Mapping[str, Any]) -> Fill:
    return Fill(
        execution_id=str(row["id"]),
        quantity=row["quantity"],
        price=row["price"],
        fee=Money(row["fee_amount"], row["fee_currency"]),
        executed_at=row["filled_at"],
    )
