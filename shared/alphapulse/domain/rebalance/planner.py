"""Plan the orders that bring holdings to target weights.

Everything is exact: quantities are whole lots, and what the plan changes in value is its fees alone.
Buys never need more cash than there is once the sells and all fees are paid and the buffer is kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from alphapulse.domain.money import ZERO, exact, quantise
from alphapulse.domain.orders import Side
from alphapulse.domain.rebalance.plan import (
    BELOW_LOT,
    BELOW_MIN_NOTIONAL,
    NO_CASH,
    WITHIN_DRIFT,
    Holdings,
    InvalidTargets,
    Market,
    NothingToInvest,
    PlannedOrder,
    PriceMissing,
    RebalanceError,
    RebalancePlan,
    RebalanceTerms,
    Skipped,
)

# Fees lower what there is to distribute, and less to distribute lowers fees: each round is off by a factor
# of the fee rate less than the one before.
_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True)
class _Change:
    symbol: str
    market: Market
    value: Decimal  # wanted change of the position's value; negative to sell
    quantity: Decimal

    @property
    def side(self) -> Side:
        return Side.BUY if self.value > 0 else Side.SELL

    @property
    def notional(self) -> Decimal:
        return self.quantity * self.market.price

    def order(self, terms: RebalanceTerms) -> PlannedOrder:
        return PlannedOrder(
            symbol=self.symbol,
            side=self.side,
            quantity=self.quantity,
            price=self.market.price,
            notional=self.notional,
            fee=quantise(self.notional * terms.fee_rate),
        )


def plan_rebalance(
    holdings: Holdings,
    targets: Mapping[str, Decimal],
    markets: Mapping[str, Market],
    *,
    terms: RebalanceTerms | None = None,
) -> RebalancePlan:
    """Return the orders that bring holdings to their target weights.

    Parameters
    ----------
    holdings : Holdings
        What there is.
    targets : mapping of symbol to Decimal
        Shares of equity, at least 0, together at most 1; what is held and not in it has the target 0. A
        cash buffer lowers all of them alike.
    markets : mapping of symbol to Market
        Of every symbol that is held or wanted.
    terms : RebalanceTerms, optional
        Fees, buffer, drift, smallest order, turnover.

    Returns
    -------
    RebalancePlan
        With no orders when everything is within its drift.

    Raises
    ------
    InvalidTargets, PriceMissing, NothingToInvest, RebalanceError
        As their names say; nothing is planned around a figure that is missing.
    """
    terms = terms or RebalanceTerms()
    _check(holdings, targets, markets)
    with exact():
        values = {s: q * markets[s].price for s, q in holdings.quantities.items() if q}
        equity = holdings.cash + sum(values.values(), ZERO)
        if equity <= 0:
            raise NothingToInvest(f"equity must be positive, was {equity}")
        wanted, drifting = _wanted(values, targets, markets, equity=equity, terms=terms)
        changes, skipped = _in_lots(wanted, holdings, terms)
        orders, short = _affordable(changes, holdings, equity=equity, terms=terms)
        return _plan(orders, [*drifting, *skipped, *short], holdings, markets, equity=equity)


def _check(holdings: Holdings, targets: Mapping[str, Decimal], markets: Mapping[str, Market]) -> None:
    for symbol, weight in targets.items():
        if not weight.is_finite() or weight < 0:
            raise InvalidTargets(f"the target of {symbol} must not be negative, was {weight}")
    total = sum(targets.values(), ZERO)
    if total > 1:
        raise InvalidTargets(f"targets must sum to at most 1, sum to {total}")
    for symbol, quantity in holdings.quantities.items():
        if not quantity.is_finite() or quantity < 0:
            raise RebalanceError(f"the quantity of {symbol} must not be negative, was {quantity}")
    if not holdings.cash.is_finite() or holdings.cash < 0:
        raise RebalanceError(f"cash must not be negative, was {holdings.cash}")
    held = {symbol for symbol, quantity in holdings.quantities.items() if quantity}
    for symbol in sorted(held | {symbol for symbol, weight in targets.items() if weight}):
        market = markets.get(symbol)
        if market is None or not market.price.is_finite() or market.price <= 0:
            raise PriceMissing(f"there is no price of {symbol}")


def _wanted(
    values: Mapping[str, Decimal],
    targets: Mapping[str, Decimal],
    markets: Mapping[str, Market],
    *,
    equity: Decimal,
    terms: RebalanceTerms,
) -> tuple[list[_Change], list[Skipped]]:
    """Return the changes of value that are wanted, before lots, and what has drifted too little."""
    symbols = sorted(values.keys() | {symbol for symbol, weight in targets.items() if weight})
    kept = 1 - terms.cash_buffer
    off = {s: targets.get(s, ZERO) * kept - values.get(s, ZERO) / equity for s in symbols}
    moving = [s for s in symbols if abs(off[s]) > terms.drift]
    investable = equity
    changes: dict[str, Decimal] = {}
    for _ in range(_ROUNDS):
        room = investable * kept
        changes = {s: targets.get(s, ZERO) * room - values.get(s, ZERO) for s in moving}
        investable = equity - terms.fee_rate * sum((abs(change) for change in changes.values()), ZERO)
    turnover = sum((abs(change) for change in changes.values()), ZERO) / equity
    if terms.max_turnover is not None and turnover > terms.max_turnover:
        changes = {s: change * terms.max_turnover / turnover for s, change in changes.items()}
    left = [Skipped(s, WITHIN_DRIFT) for s in symbols if off[s] and s not in moving]
    return [_Change(s, markets[s], change, ZERO) for s, change in changes.items() if change], left


def _in_lots(
    wanted: Iterable[_Change], holdings: Holdings, terms: RebalanceTerms
) -> tuple[list[_Change], list[Skipped]]:
    changes, skipped = [], []
    for change in wanted:
        quantity = abs(change.value) / change.market.price
        if change.side is Side.SELL:
            quantity = min(quantity, holdings.quantities[change.symbol])
        rounded, code = _rounded(change, quantity, terms)
        if code is None:
            changes.append(rounded)
        else:
            skipped.append(Skipped(change.symbol, code))
    return changes, skipped


def _rounded(change: _Change, quantity: Decimal, terms: RebalanceTerms) -> tuple[_Change, str | None]:
    rounded = _Change(
        change.symbol, change.market, change.value, change.market.instrument.round_quantity(quantity)
    )
    if rounded.quantity <= 0:
        return rounded, BELOW_LOT
    least = max(terms.min_notional, change.market.instrument.min_notional)
    return rounded, BELOW_MIN_NOTIONAL if rounded.notional < least else None


def _affordable(
    changes: list[_Change], holdings: Holdings, *, equity: Decimal, terms: RebalanceTerms
) -> tuple[list[PlannedOrder], list[Skipped]]:
    """Return the sells, and the buys made smaller alike until the cash after sells pays for them."""
    sells = [change.order(terms) for change in changes if change.side is Side.SELL]
    buys = [change for change in changes if change.side is Side.BUY]
    cash = holdings.cash + sum((order.notional - order.fee for order in sells), ZERO)
    # A buffer that is not there yet is not paid for by selling what is within its drift.
    available = max(cash - equity * terms.cash_buffer, ZERO)
    cost = sum((buy.notional * (1 + terms.fee_rate) for buy in buys), ZERO)
    share = Decimal(1) if cost <= available else available / cost
    bought, short = [], []
    for buy in buys:
        smaller, code = _rounded(buy, buy.quantity * share, terms)
        if code is None:
            bought.append(smaller.order(terms))
        else:
            short.append(Skipped(buy.symbol, NO_CASH))
    while bought and sum((order.notional + order.fee for order in bought), ZERO) > available:
        # Only the rounding of fees can bring it here; the smallest buy is given up.
        least = min(bought, key=lambda order: order.notional)
        bought.remove(least)
        short.append(Skipped(least.symbol, NO_CASH))
    return [*_by_notional(sells), *_by_notional(bought)], short


def _by_notional(orders: Iterable[PlannedOrder]) -> list[PlannedOrder]:
    return sorted(orders, key=lambda order: (-order.notional, order.symbol))


def _plan(
    orders: list[PlannedOrder],
    skipped: list[Skipped],
    holdings: Holdings,
    markets: Mapping[str, Market],
    *,
    equity: Decimal,
) -> RebalancePlan:
    quantities = {symbol: quantity for symbol, quantity in holdings.quantities.items() if quantity}
    before = {symbol: quantity * markets[symbol].price for symbol, quantity in quantities.items()}
    cash = holdings.cash
    for order in orders:
        signed = order.quantity if order.side is Side.BUY else -order.quantity
        quantities[order.symbol] = quantities.get(order.symbol, ZERO) + signed
        cash -= signed * order.price + order.fee
    after = {symbol: quantity * markets[symbol].price for symbol, quantity in quantities.items() if quantity}
    equity_after = cash + sum(after.values(), ZERO)
    return RebalancePlan(
        orders=tuple(orders),
        skipped=tuple(sorted(skipped, key=lambda left: left.symbol)),
        equity_before=equity,
        equity_after=equity_after,
        cash_after=cash,
        fees=sum((order.fee for order in orders), ZERO),
        turnover=quantise(sum((order.notional for order in orders), ZERO) / equity, places=6),
        weights_before=_weights(before, equity),
        weights_after=_weights(after, equity_after),
    )


def _weights(values: Mapping[str, Decimal], equity: Decimal) -> dict[str, Decimal]:
    if equity <= 0:
        return {}
    return {symbol: quantise(values[symbol] / equity, places=6) for symbol in sorted(values)}
