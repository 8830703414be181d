"""The check of an order before it is placed: what it may add, and refusal of whatever cannot be evaluated.

A sell that only reduces a position is always allowed. Everything else counts the position that is already
there and the orders that are still open, and fails closed: a figure that is missing or stale is a breach.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from alphapulse.domain.limits import LimitBreach, RiskLimits
from alphapulse.domain.money import ZERO, decimal_text, exact, quantise
from alphapulse.domain.orders import Side
from alphapulse.domain.quotes import PriceQuote, usd_price, usd_rate


class _Unevaluable(Exception):
    def __init__(self, breach: LimitBreach) -> None:
        super().__init__(breach.reason)
        self.breach = breach


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """An order about to be placed; ``price`` is its limit price, none for a market order."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that may still be filled, unknown ones included; ``quantity`` is what remains of it."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the limits are evaluated against; anything that is not known is None or absent.

    Attributes
    ----------
    positions : mapping of symbol to Decimal, or None
        Quantities held.
    equity, day_pnl, peak_equity : Decimal or None
        In US dollars.
    quotes : mapping of symbol to PriceQuote
        Of the order's symbol, of every symbol held or being bought, and the dollar rates of quote currencies
        that are not at par.
    open_orders : tuple of OpenOrder
        All of the tenant's on the account.
    """

    positions: Mapping[str, Decimal] | None
    equity: Decimal | None
    day_pnl: Decimal | None
    peak_equity: Decimal | None
    quotes: Mapping[str, PriceQuote] = field(default_factory=dict)
    open_orders: tuple[OpenOrder, ...] = ()


def check_limits(
    order: ProposedOrder, *, exposure: Exposure, limits: RiskLimits, now: datetime
) -> LimitBreach | None:
    """Return the first limit an order would breach, or None if it may be placed.

    A limit order counts at its limit price, which is the most a buy can cost; a market order and what is
    held count at the last price. Reaching a bound exactly is allowed.

    Parameters
    ----------
    order : ProposedOrder
        Already rounded to lot and tick.
    exposure : Exposure
        What is there, read under the lock that orders of the account are checked under.
    limits : RiskLimits
        The tenant's.
    now : datetime
        Aware, UTC; prices are judged stale against it.

    Returns
    -------
    LimitBreach or None
        For a sell: only whether enough is held, less what open sells already take.

    Raises
    ------
    ValueError
        When the quantity is not positive.
    """
    if order.quantity <= 0:
        raise ValueError(f"quantity must be positive, was {decimal_text(order.quantity)}")
    if exposure.positions is None:
        return LimitBreach("portfolio", None, None, "the portfolio is not known")
    if order.side is Side.SELL:
        return _check_available(order, exposure.positions, exposure.open_orders)
    try:
        with exact():
            return next(_breaches(order, exposure, limits, now), None)
    except _Unevaluable as unevaluable:
        return unevaluable.breach


def _check_available(
    order: ProposedOrder, positions: Mapping[str, Decimal], open_orders: tuple[OpenOrder, ...]
) -> LimitBreach | None:
    promised = sum(
        (other.quantity for other in open_orders if other.symbol == order.symbol and other.side is Side.SELL),
        ZERO,
    )
    available = positions.get(order.symbol, ZERO) - promised
    if order.quantity <= available:
        return None
    reason = (
        f"cannot sell {decimal_text(order.quantity)} {order.symbol}: {decimal_text(available)} is available "
        f"beside open orders for {decimal_text(promised)}"
    )
    return LimitBreach("available_quantity", order.quantity, available, reason)


def _breaches(
    order: ProposedOrder, exposure: Exposure, limits: RiskLimits, now: datetime
) -> Iterator[LimitBreach]:
    max_age = timedelta(seconds=limits.price_max_age_seconds)
    valuation = _Valuation(exposure.quotes, now, max_age)
    equity = _known(exposure.equity, "equity")
    if equity <= 0:
        yield LimitBreach("equity", equity, ZERO, f"equity must be positive, was {decimal_text(equity)}")
    values = _values_after(order, exposure, valuation)
    share, gross = values[order.symbol] / equity, sum(values.values(), ZERO) / equity
    yield from _over("max_position_pct", share, limits.max_position_pct)
    yield from _over("max_leverage", gross, limits.max_leverage)
    day_pnl = _known(exposure.day_pnl, "day_pnl")
    # The day can only have started without equity if it brought a gain.
    start = equity - day_pnl
    yield from _over("daily_loss_pct", -day_pnl / start if start > 0 else ZERO, limits.daily_loss_pct)
    peak = max(_known(exposure.peak_equity, "peak_equity"), equity)
    yield from _over("max_drawdown_pct", (peak - equity) / peak, limits.max_drawdown_pct)
    if limits.max_open_positions is not None:
        count = sum(1 for value in values.values() if value > 0)
        yield from _over("max_open_positions", Decimal(count), Decimal(limits.max_open_positions))


def _values_after(order: ProposedOrder, exposure: Exposure, valuation: "_Valuation") -> dict[str, Decimal]:
    # The order's own quote is asked for first and always: a limit price alone does not make it evaluable.
    valuation.last(order.symbol)
    values = {order.symbol: valuation.of(order.symbol, order.quantity, order.price)}
    for symbol, quantity in (exposure.positions or {}).items():
        if quantity:
            values[symbol] = values.get(symbol, ZERO) + valuation.of(symbol, quantity, None)
    for other in exposure.open_orders:
        if other.side is Side.BUY:
            value = valuation.of(other.symbol, other.quantity, other.price)
            values[other.symbol] = values.get(other.symbol, ZERO) + value
    return values


def _over(limit: str, value: Decimal, bound: Decimal) -> Iterator[LimitBreach]:
    if value > bound:
        shown = quantise(value, places=6)
        yield LimitBreach(
            limit, shown, bound, f"{limit} would be {decimal_text(shown)}, at most {bound} allowed"
        )


def _known(figure: Decimal | None, name: str) -> Decimal:
    if figure is None:
        raise _Unevaluable(LimitBreach(name, None, None, f"{name} is not known"))
    return figure


@dataclass(frozen=True, slots=True)
class _Valuation:
    quotes: Mapping[str, PriceQuote]
    now: datetime
    max_age: timedelta

    def last(self, symbol: str) -> Decimal:
        return self._fresh(usd_price(symbol, self.quotes), symbol)

    def of(self, symbol: str, quantity: Decimal, limit_price: Decimal | None) -> Decimal:
        if limit_price is None:
            return quantity * self.last(symbol)
        currency = symbol.partition("-")[2]
        return quantity * limit_price * self._fresh(usd_rate(currency, self.quotes), currency)

    def _fresh(self, quote: PriceQuote | None, what: str) -> Decimal:
        if quote is None:
            raise _Unevaluable(LimitBreach("price", None, None, f"there is no price for {what}"))
        if quote.price <= 0:
            reason = f"the price of {what} must be positive, was {decimal_text(quote.price)}"
            raise _Unevaluable(LimitBreach("price", quote.price, ZERO, reason))
        if quote.is_stale(self.now, self.max_age):
            age = quantise(Decimal(str(quote.age(self.now).total_seconds())), places=3)
            bound = Decimal(int(self.max_age.total_seconds()))
            reason = f"the price of {what} is {decimal_text(age)} s old, at most {bound} s allowed"
            raise _Unevaluable(LimitBreach("price_age_seconds", age, bound, reason))
        return quote.price
