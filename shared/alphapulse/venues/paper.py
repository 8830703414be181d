"""A stand-in for an exchange: real prices, orders on paper.

It keeps a book of its own, so that it answers as an exchange would: the same client order id is the
same order however often it is sent, and an order can be asked for after its answer was lost. Resting
orders are matched when somebody asks for them, against the candles that closed since and the last
price. For the same prices it always does the same.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Instrument, Interval
from alphapulse.domain.money import ACCOUNT_CURRENCY, ZERO, exact
from alphapulse.domain.orders import OrderStatus, OrderType, TimeInForce
from alphapulse.domain.paper import (
    PaperFill,
    PaperTerms,
    limit_fill_at_tick,
    limit_fill_in_candle,
    limit_fill_on_arrival,
    market_fill,
)
from alphapulse.providers.candles import CandleError, CandleSource, Clock
from alphapulse.providers.candles import UnknownSymbol as NoSuchCandles
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse.venues.paper_book import PaperBook, Resting
from alphapulse.venues.protocol import (
    NewOrder,
    OrderRefused,
    PriceUnavailable,
    Ticker,
    UnknownSymbol,
    VenueOrder,
    VenueUnavailable,
)
from alphapulse.venues.tickers import CachedTickers

NAME = "paper"
STARTING_CASH = Decimal(100_000)

_BPS = Decimal(10_000)
_BAR = Interval.MINUTE
# Two days: order-sync asks every minute, so more only piles up when it stood still for longer.
_MOST_BARS = 2880


@dataclass(frozen=True, slots=True)
class _Match:
    """What the market did to a resting order since it was last looked at."""

    fill: PaperFill | None
    at: dt.datetime
    matched_until: dt.datetime


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
        self._book = PaperBook(tenant_id, database)
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
        VenueUnavailable
            Whoever publishes the prices, and the rules with them, does not answer.
        """
        await self._tickers.require_known(symbol)
        try:
            return await self._source.instrument(symbol)
        except NoSuchCandles as error:
            raise UnknownSymbol(f"{NAME} does not trade {symbol}") from error
        except CandleError as error:
            raise VenueUnavailable(f"the rules of {symbol} are not known at the moment") from error

    async def tickers(self, symbols: Sequence[str]) -> Mapping[str, Ticker]:
        """Return last prices; a symbol without one is left out."""
        return await self._tickers.last(symbols)

    async def create_order(self, order: NewOrder) -> VenueOrder:
        """Place an order, or return the one that this client order id has placed already.

        Raises
        ------
        OrderRefused
            `unsupported_order_type`.
        PriceUnavailable, VenueUnavailable
            There is no price to trade at, or there are no rules.
        """
        if order.type is OrderType.STOP_LIMIT:
            raise OrderRefused("unsupported_order_type", "stop orders are not traded here")
        last = (await self.tickers([order.symbol])).get(order.symbol)
        if last is None:
            raise PriceUnavailable(f"there is no price of {order.symbol}")
        fill = self._fill_on_arrival(order, last.price, await self.instrument(order.symbol))
        status, reason = OrderStatus.OPEN, None
        if fill is not None:
            status = OrderStatus.FILLED
        elif order.time_in_force is not TimeInForce.GTC:
            # A fill is whole or none, so "now" and "now and whole" are the same.
            status, reason = OrderStatus.EXPIRED, f"a {order.time_in_force} order that could not fill at once"
        return await self._book.place(order, fill, status=status, reason=reason, now=self._clock())

    async def cancel_order(self, *, client_order_id: str, symbol: str) -> VenueOrder:  # noqa: ARG002 - the protocol's: others need the symbol to find an order
        """Cancel an order if it still rests; return it as it then is.

        Raises
        ------
        OrderRefused
            `order_not_found`.
        """
        # What the market has reached by now is filled, whoever looks first.
        await self._match(client_order_id)
        order = await self._book.cancel(client_order_id, now=self._clock())
        if order is None:
            raise OrderRefused("order_not_found", "there is no order with this client order id")
        return order

    async def order(self, *, client_order_id: str, symbol: str) -> VenueOrder | None:  # noqa: ARG002 - as above
        """Return an order, matched against the market up to now; None when there is none."""
        await self._match(client_order_id)
        return await self._book.find(client_order_id)

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return the orders that still rest after matching them against the market up to now."""
        await self._match()
        return await self._book.open_orders()

    async def balances(self) -> Mapping[str, Decimal]:
        """Return the starting cash and what all fills moved; USD stands for what is at par with it."""
        held = dict(await self._book.moved())
        with exact():
            held[ACCOUNT_CURRENCY] = held.get(ACCOUNT_CURRENCY, ZERO) + STARTING_CASH
        return held

    def _fill_on_arrival(
        self, order: NewOrder, last_price: Decimal, instrument: Instrument
    ) -> PaperFill | None:
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

    async def _match(self, client_order_id: str | None = None) -> None:
        """Fill the resting orders that the market has reached since they were last looked at."""
        for order in await self._book.resting(client_order_id):
            now = self._clock()
            match = await self._met(order, now)
            if match.fill is not None:
                await self._book.fill(order, match.fill, at=match.at, until=match.matched_until, now=now)
            elif match.matched_until > order.matched_until:
                await self._book.note_matched(order, until=match.matched_until, now=now)

    async def _met(self, order: Resting, now: dt.datetime) -> _Match:
        until = order.matched_until
        for candle in await self._candles_since(order.symbol, until, now):
            until = candle.open_time + dt.timedelta(seconds=_BAR.seconds)
            fill = limit_fill_in_candle(
                order.side, order.quantity, order.price, candle=candle, terms=self._terms
            )
            if fill is not None:
                return _Match(fill, until, until)
        last = (await self.tickers([order.symbol])).get(order.symbol)
        if last is None or last.as_of < order.matched_until:
            # A price from before the order came says nothing about it.
            return _Match(None, now, until)
        fill = limit_fill_at_tick(
            order.side, order.quantity, order.price, last_price=last.price, terms=self._terms
        )
        return _Match(fill, now, until)

    async def _candles_since(self, symbol: str, since: dt.datetime, now: dt.datetime) -> list[Candle]:
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
