"""Whether an order may be placed: the venue's rules first, then the account and its limits."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from alphapulse.domain.instruments import Instrument, InvalidSymbol, Symbol
from alphapulse.domain.limits import RiskLimits, default_limits
from alphapulse.domain.money import ZERO, at_par_with_usd, decimal_text, exact, quantise
from alphapulse.domain.orders import OrderType, Side, TimeInForce
from alphapulse.domain.pretrade import Exposure, ProposedOrder, check_limits
from alphapulse.domain.quotes import PriceQuote
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tiers import LIMITS
from alphapulse.trading.account import Account
from alphapulse.trading.settlement import cash_currency
from alphapulse.venues.protocol import Ticker, Venue, VenueUnavailable
from alphapulse.venues.protocol import UnknownSymbol as NotTraded
from functions.trade.refusals import (
    BelowMinNotional,
    InsufficientBalance,
    InvalidPrice,
    InvalidQuantity,
    PriceUnavailable,
    UnknownSymbol,
    UnsupportedOrderType,
    UnsupportedQuoteCurrency,
    refusal_of,
)
from functions.trade.schemas import OrderRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An order in whole lots and ticks, with the price it is checked at."""

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    last: Ticker

    @property
    def reference_price(self) -> Decimal:
        """The limit price, or the last price of a market order."""
        return self.last.price if self.price is None else self.price

    def cost(self, venue: Venue) -> Decimal:
        """The most a buy may cost with fees, in the quote currency."""
        with exact():
            return quantise(self.quantity * self.reference_price * (1 + venue.cost_rate))

    @property
    def proposed(self) -> ProposedOrder:
        """The order as the limits take it."""
        return ProposedOrder(self.symbol, self.side, self.quantity, self.price)


async def draft(venue: Venue, request: OrderRequest) -> Draft:
    """Fit an order to the venue's rules and fetch the last price.

    Raises
    ------
    Invalid
        One of the 422 refusals that need no look at the account.
    PriceUnavailable
        There is no price.
    """
    _check_shape(request)
    instrument = await _instrument(venue, request.symbol)
    if not at_par_with_usd(instrument.quote):
        raise UnsupportedQuoteCurrency(
            f"orders must be quoted in USD, USDT or USDC, {request.symbol} is in {instrument.quote}"
        )
    quantity = instrument.round_quantity(request.quantity)
    if quantity <= 0:
        raise InvalidQuantity(
            f"quantity must be at least one lot of {decimal_text(instrument.lot)}, "
            f"was {decimal_text(request.quantity)}"
        )
    price = _rounded_price(instrument, request)
    last = (await venue.tickers([request.symbol])).get(request.symbol)
    if last is None:
        raise PriceUnavailable(f"there is no price of {request.symbol}", retry_after_seconds=5)
    _check_notional(instrument, quantity, last.price if price is None else price)
    return Draft(
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        quantity=quantity,
        price=price,
        time_in_force=request.time_in_force,
        last=last,
    )


def check_account(
    order: Draft,
    account: Account,
    *,
    venue: Venue,
    quotes: Mapping[str, PriceQuote],
    tier: Tier,
    now: dt.datetime,
) -> None:
    """Refuse an order that the account or its limits do not allow.

    Raises
    ------
    NotPermitted
        The tenant is not active.
    RiskLimitExceeded, PriceStale, PriceUnavailable, InsufficientPosition, InsufficientBalance
    """
    account.require_active()
    limits = account.limits or default_limits(max_leverage=LIMITS[tier].max_leverage)
    value = account.value(quotes, now=now, price_max_age=dt.timedelta(seconds=limits.price_max_age_seconds))
    exposure = Exposure(
        positions=account.held,
        equity=value.equity,
        day_pnl=value.day_pnl,
        peak_equity=account.peak_equity,
        quotes=quotes,
        open_orders=tuple(account.open_orders),
    )
    breach = check_limits(order.proposed, exposure=exposure, limits=limits, now=now)
    if breach is not None:
        raise refusal_of(breach)
    if order.side is Side.BUY:
        _check_cash(order, account, venue=venue, limits=limits, equity=value.equity or ZERO)


def _check_cash(order: Draft, account: Account, *, venue: Venue, limits: RiskLimits, equity: Decimal) -> None:
    currency = cash_currency(order.symbol)
    balance = account.balance(venue.name, currency)
    with exact():
        cost = order.cost(venue)
        free = ZERO if balance is None else balance.amount - balance.reserved
        # Leverage above 1 is cash lent against the equity.
        available = free + max(limits.max_leverage - 1, ZERO) * max(equity, ZERO)
    if cost > available:
        raise InsufficientBalance(
            f"the order may cost {_cents(cost)} {currency} with fees, {_cents(available)} is available",
            extra={"required": _cents(cost), "available": _cents(available), "currency": currency},
        )


def _check_shape(request: OrderRequest) -> None:
    if request.type is OrderType.STOP_LIMIT:
        raise UnsupportedOrderType("type must be market or limit; stop_limit orders are not taken yet")
    if request.stop_price is not None:
        raise InvalidPrice("stop_price belongs to stop_limit orders only")
    if request.type is OrderType.LIMIT and request.price is None:
        raise InvalidPrice("a limit order needs a price")
    if request.type is OrderType.MARKET and request.price is not None:
        raise InvalidPrice("a market order takes no price")


async def _instrument(venue: Venue, symbol: str) -> Instrument:
    try:
        Symbol.parse(symbol)
        return await venue.instrument(symbol)
    except (InvalidSymbol, NotTraded) as error:
        raise UnknownSymbol(str(error)) from error
    except VenueUnavailable as error:
        raise PriceUnavailable(str(error), retry_after_seconds=5) from error


def _rounded_price(instrument: Instrument, request: OrderRequest) -> Decimal | None:
    if request.price is None:
        return None
    price = instrument.round_price(request.price, request.side)
    if price <= 0:
        raise InvalidPrice(
            f"price must be at least one tick of {decimal_text(instrument.tick)}, "
            f"was {decimal_text(request.price)}"
        )
    return price


def _check_notional(instrument: Instrument, quantity: Decimal, price: Decimal) -> None:
    with exact():
        enough = instrument.meets_min_notional(quantity=quantity, price=price)
        notional = quantity * price
    if not enough:
        raise BelowMinNotional(
            f"quantity times price must be at least {decimal_text(instrument.min_notional)} "
            f"{instrument.quote}, was {decimal_text(notional)}"
        )


def _cents(amount: Decimal) -> str:
    return f"{amount:.2f}"
