"""A stand-in for an exchange: real prices, orders on paper.

It keeps a book of its own (`paper_orders`, `paper_fills`), in transactions of its own, so that it
answers as an exchange would: the same client order id is the same order however often it is sent,
and an order can be asked for after its answer was lost. Resting orders are matched when somebody
asks for them, against the candles that closed since and the last price. For the same prices it
always does the same.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from uuid_utils.compat import uuid7

from alphapulse.data import queries
from alphapulse.domain.instruments import Instrument, Interval, default_instrument
from alphapulse.domain.money import ACCOUNT_CURRENCY, ZERO, Money, at_par_with_usd, exact
from alphapulse.domain.orders import Fill, OrderStatus, OrderType, Side, TimeInForce
from alphapulse.domain.paper import (
    PaperFill,
    PaperTerms,
    limit_fill_at_tick,
    limit_fill_in_candle,
    limit_fill_on_arrival,
    market_fill,
)
from alphapulse.providers.candles import CandleError, CandleSource, Clock
from alphapulse.tenancy.database import Database, TenantSession
from alphapulse.tenancy.tenant import TenantId
from alphapulse.venues.protocol import NewOrder, OrderRefused, PriceUnavailable, Ticker, VenueOrder
from alphapulse.venues.tickers import CachedTickers

NAME = "paper"
STARTING_CASH = Decimal(100_000)

_BPS = Decimal(10_000)
_BAR = Interval.MINUTE
# Two days: order-sync asks every minute, so more only piles up when it stood still for longer.
_MOST_BARS = 2880

sql = queries.load(__file__)


class PaperVenue:
    """One tenant's account on the paper exchange; implements `Venue`.

    Parameters
    ----------
    tenant_id
        Whose account it is.
    database
        Holds the exchange's book.
    tickers
        Last prices.
    source
        Candles that resting orders are matched against.
    clock
        Aware UTC now.
    terms
        Spread and fee.
    """

    name = NAME

    def __init__(
        self,
        tenant_id: TenantId,
        *,
        database: Database,
        tickers: CachedTickers,
        source: CandleSource,
        clock: Clock,
        terms: PaperTerms,
    ) -> None:
        self._tenant_id = tenant_id
        self._database = database
        self._tickers = tickers
        self._source = source
        self._clock = clock
        self._terms = terms
        self.cost_rate = (terms.fee_bps + terms.half_spread_bps) / _BPS

    async def instrument(self, symbol: str) -> Instrument:
        """Return the rules of a symbol.

        Raises
        ------
        UnknownSymbol
            There are no prices of it.
        """
        await self._tickers.require_known(symbol)
        return default_instrument(symbol)

    async def tickers(self, symbols: Sequence[str]) -> Mapping[str, Ticker]:
        """Return last prices; a symbol without one is left out."""
        return await self._tickers.last(symbols)

    async def create_order(self, order: NewOrder) -> VenueOrder:
        """Place an order, or return the one that this client order id has placed already.

        Raises
        ------
        OrderRefused
            `unsupported_order_type`.
        PriceUnavailable
            There is no price to trade at.
        """
        if order.type is OrderType.STOP_LIMIT:
            raise OrderRefused("unsupported_order_type", "stop orders are not traded here")
        last = (await self.tickers([order.symbol])).get(order.symbol)
        if last is None:
            raise PriceUnavailable(f"there is no price of {order.symbol}")
        fill = self._fill_on_arrival(order, last.price)
        now = self._clock()
        async with self._database.tenant(self._tenant_id) as session:
            placed = await self._insert(session, order, fill, now)
            if placed is not None and fill is not None:
                await self._insert_fill(session, placed, order.symbol, fill, at=now, liquidity="taker")
            return await self._read(session, order.client_order_id)

    async def cancel_order(self, *, client_order_id: str, symbol: str) -> VenueOrder:
        """Cancel an order if it still rests; return it as it then is.

        Raises
        ------
        OrderRefused
            `order_not_found`.
        """
        if await self.order(client_order_id=client_order_id, symbol=symbol) is None:
            raise OrderRefused("order_not_found", "there is no order with this client order id")
        async with self._database.tenant(self._tenant_id) as session:
            row = await self._locked(session, client_order_id)
            if row["status"] == OrderStatus.OPEN:
                await sql.cancel(
                    session,
                    tenant_id=self._tenant_id.value,
                    order_id=row["id"],
                    reason="cancelled on request",
                    now=self._clock(),
                )
            return await self._read(session, client_order_id)

    async def order(self, *, client_order_id: str, symbol: str) -> VenueOrder | None:  # noqa: ARG002 - the protocol's: others need the symbol to find an order
        """Return an order, matched against the market up to now; None when there is none."""
        async with self._database.tenant(self._tenant_id) as session:
            row = await self._find(session, client_order_id)
            if row is None:
                return None
            if row["status"] != OrderStatus.OPEN:
                return await self._with_fills(session, row)
        await self._match(row)
        async with self._database.tenant(self._tenant_id) as session:
            return await self._read(session, client_order_id)

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return the orders that still rest after matching them against the market up to now."""
        async with self._database.tenant(self._tenant_id) as session:
            rows = [row async for row in sql.open_orders(session, tenant_id=self._tenant_id.value)]
        for row in rows:
            await self._match(row)
        async with self._database.tenant(self._tenant_id) as session:
            rows = [row async for row in sql.open_orders(session, tenant_id=self._tenant_id.value)]
            return [await self._with_fills(session, row) for row in rows]

    async def balances(self) -> Mapping[str, Decimal]:
        """Return the starting cash and what all fills moved; USD stands for what is at par with it."""
        async with self._database.tenant(self._tenant_id) as session:
            rows = [row async for row in sql.movements(session, tenant_id=self._tenant_id.value)]
        held = {ACCOUNT_CURRENCY: STARTING_CASH}
        with exact():
            for row in rows:
                base, _, quote = row["symbol"].partition("-")
                cash = ACCOUNT_CURRENCY if at_par_with_usd(quote) else quote
                sign = 1 if row["side"] == Side.BUY else -1
                held[base] = held.get(base, ZERO) + sign * row["quantity"]
                held[cash] = held.get(cash, ZERO) - sign * row["notional"] - row["fees"]
        return held

    def _fill_on_arrival(self, order: NewOrder, last_price: Decimal) -> PaperFill | None:
        instrument = default_instrument(order.symbol)
        if order.price is None:
            return market_fill(
                order.side, order.quantity, last_price, instrument=instrument, terms=self._terms
            )
        return limit_fill_on_arrival(
            order.side,
            order.quantity,
            order.price,
            last_price=last_price,
            instrument=instrument,
            terms=self._terms,
        )

    async def _insert(
        self, session: TenantSession, order: NewOrder, fill: PaperFill | None, now: dt.datetime
    ) -> Any:
        status, reason = OrderStatus.OPEN, None
        if fill is not None:
            status = OrderStatus.FILLED
        elif order.time_in_force is not TimeInForce.GTC:
            # The book is all or nothing, so "now" and "now and whole" are the same.
            status, reason = OrderStatus.EXPIRED, f"{order.time_in_force} order could not fill at once"
        row = await sql.insert_order(
            session,
            tenant_id=self._tenant_id.value,
            order_id=uuid7(),
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
            fee_currency=order.symbol.partition("-")[2],
            reason=reason,
            now=now,
        )
        return None if row is None else row["id"]

    async def _match(self, row: Mapping[str, Any]) -> None:
        """Fill a resting limit order that the market has reached since it was last looked at."""
        now = self._clock()
        fill, at, matched_until = await self._fill_since(row, now)
        async with self._database.tenant(self._tenant_id) as session:
            locked = await self._locked(session, row["client_order_id"])
            if locked["status"] != OrderStatus.OPEN:
                return
            if fill is None:
                await sql.note_matched(
                    session,
                    tenant_id=self._tenant_id.value,
                    order_id=row["id"],
                    matched_until=matched_until,
                    now=now,
                )
                return
            await self._insert_fill(session, row["id"], row["symbol"], fill, at=at, liquidity="maker")
            await sql.close_filled(
                session,
                tenant_id=self._tenant_id.value,
                order_id=row["id"],
                quantity=fill.quantity,
                price=fill.price,
                fee_amount=fill.fee,
                fee_currency=row["symbol"].partition("-")[2],
                matched_until=matched_until,
                now=now,
            )

    async def _fill_since(
        self, row: Mapping[str, Any], now: dt.datetime
    ) -> tuple[PaperFill | None, dt.datetime, dt.datetime]:
        side, quantity, limit = Side(row["side"]), row["quantity"], row["price"]
        since: dt.datetime = row["matched_until"]
        for candle in await self._candles_since(row["symbol"], since, now):
            closed_at = candle.open_time + dt.timedelta(seconds=_BAR.seconds)
            fill = limit_fill_in_candle(side, quantity, limit, candle=candle, terms=self._terms)
            if fill is not None:
                return fill, closed_at, closed_at
            since = closed_at
        last = (await self.tickers([row["symbol"]])).get(row["symbol"])
        if last is None:
            return None, now, since
        fill = limit_fill_at_tick(side, quantity, limit, last_price=last.price, terms=self._terms)
        return fill, now, since

    async def _candles_since(self, symbol: str, since: dt.datetime, now: dt.datetime) -> list[Any]:
        # A bar that was under way when the order came also holds earlier prices, so it does not count.
        bars = min(int((now - since).total_seconds()) // _BAR.seconds, _MOST_BARS)
        if bars < 1:
            return []
        try:
            batch = await self._source.candles(symbol, _BAR, limit=bars, until=now)
        except CandleError:
            # No bars this fine: such a market is followed by its last price alone.
            return []
        return [candle for candle in batch.candles if candle.open_time >= since]

    async def _insert_fill(
        self,
        session: TenantSession,
        order_id: Any,
        symbol: str,
        fill: PaperFill,
        *,
        at: dt.datetime,
        liquidity: str,
    ) -> None:
        await sql.insert_fill(
            session,
            tenant_id=self._tenant_id.value,
            fill_id=uuid7(),
            order_id=order_id,
            quantity=fill.quantity,
            price=fill.price,
            fee_amount=fill.fee,
            fee_currency=symbol.partition("-")[2],
            liquidity=liquidity,
            filled_at=at,
            now=self._clock(),
        )

    async def _find(self, session: TenantSession, client_order_id: str) -> Any:
        return await sql.order_by_client_id(
            session, tenant_id=self._tenant_id.value, client_order_id=client_order_id
        )

    async def _locked(self, session: TenantSession, client_order_id: str) -> Any:
        return await sql.order_for_update(
            session, tenant_id=self._tenant_id.value, client_order_id=client_order_id
        )

    async def _read(self, session: TenantSession, client_order_id: str) -> VenueOrder:
        return await self._with_fills(session, await self._find(session, client_order_id))

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


def _fill(row: Mapping[str, Any]) -> Fill:
    return Fill(
        execution_id=str(row["id"]),
        quantity=row["quantity"],
        price=row["price"],
        fee=Money(row["fee_amount"], row["fee_currency"]),
        executed_at=row["filled_at"],
    )
