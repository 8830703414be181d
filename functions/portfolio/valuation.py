"""What a tenant's account is worth at the last prices, and how that is told."""

import datetime as dt
from typing import Any

from alphapulse.domain.money import amounts_text, decimal_text
from alphapulse.domain.performance import PortfolioValue, ValuedPosition
from alphapulse.domain.quotes import PriceQuote
from alphapulse.runtime.work import Scope
from alphapulse.trading.account import Account, load_account
from alphapulse.trading.trades import optional_text, time_text
from alphapulse.trading.venues import Venues


async def valued(scope: Scope, venues: Venues) -> PortfolioValue:
    """Read the tenant's account and value it."""
    async with scope.transaction() as work:
        account = await load_account(work.session, now=work.now)
    return await value_account(scope, venues, account)


async def value_account(scope: Scope, venues: Venues, account: Account) -> PortfolioValue:
    """Value an account at the last prices; where there is none, at the last fill's, which is stale."""
    found = await venues.tickers.last(sorted(account.held))
    quotes = dict(account.last_known) | {symbol: ticker.quote for symbol, ticker in found.items()}
    return account.value(quotes, now=scope.now, price_max_age=price_max_age(scope))


def portfolio_json(value: PortfolioValue, *, max_age: dt.timedelta) -> dict[str, Any]:
    """Return the portfolio as it is told."""
    return {
        "equity": optional_text(value.equity),
        "cash": amounts_text(value.cash),
        "positions": positions_json(value, max_age=max_age),
        "realised_pnl": optional_text(value.realised_pnl),
        "unrealised_pnl": optional_text(value.unrealised_pnl),
        "day_pnl": optional_text(value.day_pnl),
        "leverage": optional_text(value.leverage),
        "as_of": time_text(value.as_of),
        "currency": value.currency,
        "stale": value.stale,
        "missing": list(value.missing),
    }


def positions_json(value: PortfolioValue, *, max_age: dt.timedelta) -> list[dict[str, Any]]:
    """Return the positions as they are told."""
    return [_position_json(position, now=value.as_of, max_age=max_age) for position in value.positions]


def _position_json(
    valued_position: ValuedPosition, *, now: dt.datetime, max_age: dt.timedelta
) -> dict[str, Any]:
    position, as_of = valued_position.position, valued_position.price_as_of
    price = valued_position.last_price
    return {
        "symbol": position.symbol,
        "exchange": position.exchange,
        "quantity": decimal_text(position.quantity),
        "average_price": decimal_text(position.average_price),
        "last_price": optional_text(price),
        "price_as_of": None if as_of is None else time_text(as_of),
        "market_value": optional_text(valued_position.market_value),
        "realised_pnl": decimal_text(position.realised_pnl),
        "unrealised_pnl": optional_text(valued_position.unrealised_pnl),
        "stale": price is None or PriceQuote(price, as_of).is_stale(now, max_age),
    }


def price_max_age(scope: Scope) -> dt.timedelta:
    """Return how old a price may be before it is told to be stale."""
    return dt.timedelta(seconds=scope.resources.settings.price_max_age_seconds)
