"""Portfolio arithmetic: what positions and cash are worth together, in US dollars."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from alphapulse.domain import positions as position_rules
from alphapulse.domain.money import ACCOUNT_CURRENCY, ZERO, exact, quantise
from alphapulse.domain.positions import Position
from alphapulse.domain.quotes import PRICE_MAX_AGE, PriceQuote, usd_price, usd_rate


@dataclass(frozen=True, slots=True)
class ValuedPosition:
    """A position at the last price, in its quote currency; None where there is no price."""

    position: Position
    last_price: Decimal | None
    price_as_of: datetime | None
    market_value: Decimal | None
    unrealised_pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class PortfolioValue:
    """A portfolio's figures, in US dollars.

    Attributes
    ----------
    equity : Decimal or None
        Cash plus market value; none when anything cannot be valued.
    cash : mapping of currency to Decimal
        As it is, not converted.
    positions : tuple of ValuedPosition
        Those that hold something, in order of symbol and exchange.
    realised_pnl, unrealised_pnl, gross_exposure : Decimal or None
        Sums over the positions, flat ones included in the realised; none when a rate or price is missing.
    day_pnl : Decimal or None
        Equity less the equity at the start of the day; none when either is not known.
    leverage : Decimal or None
        Gross exposure divided by equity, to 6 places; none when equity is not known or not positive.
    as_of : datetime
        When it was valued.
    currency : str
        ``USD``.
    stale : bool
        Whether a price that was used is too old, or one is missing.
    missing : tuple of str
        Symbols and currencies without a price.
    """

    equity: Decimal | None
    cash: Mapping[str, Decimal]
    positions: tuple[ValuedPosition, ...]
    realised_pnl: Decimal | None
    unrealised_pnl: Decimal | None
    gross_exposure: Decimal | None
    day_pnl: Decimal | None
    leverage: Decimal | None
    as_of: datetime
    currency: str
    stale: bool
    missing: tuple[str, ...]


def value_position(position: Position, quote: PriceQuote | None) -> ValuedPosition:
    """Value one position at a quote, in its quote currency."""
    if quote is None:
        return ValuedPosition(position, None, None, None, None)
    return ValuedPosition(
        position=position,
        last_price=quote.price,
        price_as_of=quote.as_of,
        market_value=position_rules.market_value(position, quote.price),
        unrealised_pnl=position_rules.unrealised_pnl(position, quote.price),
    )


def value_portfolio(
    *,
    cash: Mapping[str, Decimal],
    positions: Iterable[Position],
    quotes: Mapping[str, PriceQuote],
    now: datetime,
    equity_at_day_start: Decimal | None = None,
    price_max_age: timedelta = PRICE_MAX_AGE,
) -> PortfolioValue:
    """Value cash and positions together.

    Parameters
    ----------
    cash : mapping of currency to Decimal
        Balances, reserved amounts included.
    positions : iterable of Position
        Flat ones count in the realised profit only.
    quotes : mapping of symbol to PriceQuote
        Last prices of the symbols held, and dollar rates of currencies not at par.
    now : datetime
        Aware, UTC.
    equity_at_day_start : Decimal, optional
        For the day's profit.
    price_max_age : timedelta
        Older prices make the figures stale.

    Returns
    -------
    PortfolioValue
        A figure that needs a missing price is None; nothing is estimated.
    """
    every = sorted(positions, key=lambda position: (position.symbol, position.exchange))
    held = [position for position in every if not position.is_flat]
    rates = _rates(cash, every, quotes)
    prices = {position.symbol: usd_price(position.symbol, quotes) for position in held}
    with exact():
        cash_value = _total((amount, rates[currency]) for currency, amount in cash.items())
        gross = _total((position.quantity, prices[position.symbol]) for position in held)
        realised = _total((position.realised_pnl, rates[_quote_of(position)]) for position in every)
        unrealised = _unrealised(held, quotes, rates)
        equity = None if cash_value is None or gross is None else quantise(cash_value + gross)
    used = [*rates.items(), *prices.items()]
    missing = tuple(sorted(name for name, quote in used if quote is None))
    return PortfolioValue(
        equity=equity,
        cash=dict(cash),
        positions=tuple(value_position(position, quotes.get(position.symbol)) for position in held),
        realised_pnl=realised,
        unrealised_pnl=unrealised,
        gross_exposure=gross,
        day_pnl=None if equity is None or equity_at_day_start is None else equity - equity_at_day_start,
        leverage=leverage(gross, equity),
        as_of=now,
        currency=ACCOUNT_CURRENCY,
        stale=any(quote is None or quote.is_stale(now, price_max_age) for _, quote in used),
        missing=missing,
    )


def leverage(gross_exposure: Decimal | None, equity: Decimal | None) -> Decimal | None:
    """Return gross exposure by equity to 6 places; None if either is unknown or equity is not positive."""
    if gross_exposure is None or equity is None or equity <= 0:
        return None
    with exact():
        return quantise(gross_exposure / equity, places=6)


def _rates(
    cash: Mapping[str, Decimal], positions: Iterable[Position], quotes: Mapping[str, PriceQuote]
) -> dict[str, PriceQuote | None]:
    # A currency of which there is nothing needs no rate.
    needed = {currency for currency, amount in cash.items() if amount}
    needed |= {_quote_of(position) for position in positions if position.quantity or position.realised_pnl}
    at_par = PriceQuote(Decimal(1), None)
    rates: dict[str, PriceQuote | None] = {currency: usd_rate(currency, quotes) for currency in needed}
    unneeded = (cash.keys() | {_quote_of(position) for position in positions}) - needed
    return rates | dict.fromkeys(unneeded, at_par)


def _unrealised(
    held: Iterable[Position], quotes: Mapping[str, PriceQuote], rates: Mapping[str, PriceQuote | None]
) -> Decimal | None:
    parts: list[tuple[Decimal, PriceQuote | None]] = []
    for position in held:
        quote = quotes.get(position.symbol)
        if quote is None:
            return None
        profit = position_rules.unrealised_pnl(position, quote.price)
        parts.append((profit, rates[_quote_of(position)]))
    return _total(parts)


def _total(parts: Iterable[tuple[Decimal, PriceQuote | None]]) -> Decimal | None:
    total = ZERO
    for amount, rate in parts:
        if rate is None:
            return None
        total += amount * rate.price
    return quantise(total)


def _quote_of(position: Position) -> str:
    return position.symbol.partition("-")[2]
