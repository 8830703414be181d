"""What a tenant has and owes on its exchanges, and what that is worth."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.domain.auto_trade import SymbolHolding
from alphapulse.domain.limits import RiskLimits
from alphapulse.domain.money import ZERO, exact
from alphapulse.domain.orders import Side
from alphapulse.domain.performance import PortfolioValue, value_portfolio
from alphapulse.domain.positions import Position
from alphapulse.domain.pretrade import OpenOrder
from alphapulse.domain.quotes import PriceQuote
from alphapulse.runtime.errors import NotPermitted
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.states import TenantStatus
from alphapulse.tenancy.tiers import limits_in_force

sql = queries.load(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Cash on one exchange; `reserved` is what open buys may still cost."""

    exchange: str
    currency: str
    amount: Decimal
    reserved: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All of a tenant's positions, cash and open orders, read in one statement.

    Attributes
    ----------
    positions : sequence of Position
        Flat ones included, for what they realised.
    last_known : mapping of symbol to PriceQuote
        Prices of the last fills, for when there is no better one.
    day_start_equity : Decimal or None
        First snapshot of the UTC day, or the last before it, or the starting equity.
    peak_equity : Decimal or None
        Highest equity so far.
    limits : RiskLimits or None
        As bounded by what the tier allows now; None when the tenant has none stored.
    tenant_status : TenantStatus or None
        None when there is no such tenant.
    trading_halted : bool
        The tenant's kill switch.
    """

    positions: Sequence[Position]
    last_known: Mapping[str, PriceQuote]
    balances: Sequence[Balance]
    open_orders: Sequence[OpenOrder]
    day_start_equity: Decimal | None
    peak_equity: Decimal | None
    limits: RiskLimits | None
    tenant_status: TenantStatus | None
    trading_halted: bool

    def require_active(self) -> None:
        """Refuse a new order unless its tenant is active at this moment and has not halted trading.

        Asked in the transaction that commits the order, by whatever places it: a request was admitted a
        moment ago, and an event perhaps long after its cause.

        Raises
        ------
        NotPermitted
            `tenant_suspended`, `tenant_cancelled`, `tenant_not_active` or `trading_halted`.
        """
        status = self.tenant_status
        if status is not TenantStatus.ACTIVE:
            known = status in (TenantStatus.SUSPENDED, TenantStatus.CANCELLED)
            raise NotPermitted(
                f"the tenant is {status or 'gone'} and cannot place orders",
                code=f"tenant_{status}" if known else "tenant_not_active",
                extra={"tenant_status": status},
            )
        if self.trading_halted:
            raise NotPermitted("trading is halted: no order is placed", code="trading_halted")

    @property
    def held(self) -> Mapping[str, Decimal]:
        """Quantity held by symbol."""
        quantities: dict[str, Decimal] = {}
        for position in self.positions:
            if position.quantity:
                quantities[position.symbol] = quantities.get(position.symbol, ZERO) + position.quantity
        return quantities

    @property
    def exposed_symbols(self) -> frozenset[str]:
        """Symbols that are held or being bought: those whose price every limit needs."""
        buying = {order.symbol for order in self.open_orders if order.side is Side.BUY}
        return frozenset(self.held) | buying

    def holding(self, symbol: str) -> SymbolHolding:
        """Return what is held of a symbol, and what its open orders may still add or take."""
        promised = {Side.BUY: ZERO, Side.SELL: ZERO}
        for order in self.open_orders:
            if order.symbol == symbol:
                promised[order.side] += order.quantity
        return SymbolHolding(
            quantity=self.held.get(symbol, ZERO),
            being_bought=promised[Side.BUY],
            being_sold=promised[Side.SELL],
        )

    @property
    def cash(self) -> Mapping[str, Decimal]:
        """Cash by currency, reserved amounts included."""
        amounts: dict[str, Decimal] = {}
        with exact():
            for balance in self.balances:
                amounts[balance.currency] = amounts.get(balance.currency, ZERO) + balance.amount
        return amounts

    def balance(self, exchange: str, currency: str) -> Balance | None:
        """Return the cash of one currency on one exchange."""
        return next(
            (b for b in self.balances if b.exchange == exchange and b.currency == currency),
            None,
        )

    def value(
        self, quotes: Mapping[str, PriceQuote], *, now: dt.datetime, price_max_age: dt.timedelta
    ) -> PortfolioValue:
        """Value the account at `quotes`."""
        return value_portfolio(
            cash=self.cash,
            positions=self.positions,
            quotes=quotes,
            now=now,
            equity_at_day_start=self.day_start_equity,
            price_max_age=price_max_age,
        )


async def load_account(session: Session, *, now: dt.datetime) -> Account:
    """Read the account of the session's tenant."""
    day = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    row = await sql.account(session, tenant_id=session.tenant, day=day)
    return Account(
        positions=[_position(record) for record in row["positions"]],
        last_known=_last_known(row["positions"]),
        balances=[
            Balance(exchange=exchange, currency=currency, amount=Decimal(amount), reserved=Decimal(reserved))
            for exchange, currency, amount, reserved in row["balances"]
        ],
        open_orders=[
            OpenOrder(symbol, Side(side), Decimal(quantity), None if price is None else Decimal(price))
            for symbol, side, quantity, price in row["open_orders"]
        ],
        day_start_equity=row["day_start_equity"],
        peak_equity=row["peak_equity"],
        limits=_limits(row),
        tenant_status=None if row["tenant_status"] is None else TenantStatus(row["tenant_status"]),
        trading_halted=row["trading_halted"],
    )


def _position(record: Sequence[Any]) -> Position:
    symbol, exchange, quantity, average_price, realised_pnl, *_ = record
    return Position(symbol, exchange, Decimal(quantity), Decimal(average_price), Decimal(realised_pnl))


def _last_known(records: Sequence[Sequence[Any]]) -> Mapping[str, PriceQuote]:
    return {
        symbol: PriceQuote(Decimal(last_price), dt.datetime.fromisoformat(as_of))
        for symbol, *_, last_price, as_of in records
        if last_price is not None and as_of is not None
    }


def _limits(row: Mapping[str, Any]) -> RiskLimits | None:
    if row["max_position_pct"] is None or row["tier"] is None:
        return None
    included = limits_in_force(Tier(row["tier"]), row["limit_overrides"])
    return RiskLimits(
        max_position_pct=row["max_position_pct"],
        # What was set in a higher tier does not outlive it.
        max_leverage=min(row["max_leverage"], included.max_leverage),
        daily_loss_pct=row["daily_loss_pct"],
        max_drawdown_pct=row["max_drawdown_pct"],
        var_warning_pct=row["var_warning_pct"],
        price_max_age_seconds=row["price_max_age_seconds"],
        max_open_positions=_lower(row["max_open_positions"], included.open_positions),
    )


def _lower(*bounds: int | None) -> int | None:
    """Return the lowest bound; None is unlimited."""
    return min((bound for bound in bounds if bound is not None), default=None)
