from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.orders import Side
from alphapulse.domain.performance import PortfolioValue, leverage, value_portfolio
from alphapulse.domain.positions import Position, apply_fill
from alphapulse.domain.quotes import PriceQuote, usd_price, usd_rate

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BTC = Position("BTC-USD", "paper", Decimal(2), Decimal(100), Decimal(5))
ETH = Position("ETH-BTC", "paper", Decimal(10), Decimal("0.05"), Decimal("0.1"))
GONE = Position("SOL-USDT", "paper", realised_pnl=Decimal(-7))


def quote(price: str, age_seconds: int = 0) -> PriceQuote:
    return PriceQuote(Decimal(price), NOW - timedelta(seconds=age_seconds))


def value(
    *positions: Position,
    cash: dict[str, Decimal] | None = None,
    quotes: dict[str, PriceQuote] | None = None,
    equity_at_day_start: Decimal | None = None,
) -> PortfolioValue:
    return value_portfolio(
        cash={"USD": Decimal(1_000)} if cash is None else cash,
        positions=positions,
        quotes=quotes or {},
        now=NOW,
        equity_at_day_start=equity_at_day_start,
    )


def test_cash_alone_is_the_equity() -> None:
    portfolio = value(cash={"USD": Decimal(100), "USDT": Decimal(50), "USDC": Decimal("0.5")})

    assert portfolio.equity == Decimal("150.5")
    assert (portfolio.leverage, portfolio.unrealised_pnl, portfolio.stale) == (0, 0, False)


def test_position_adds_its_market_value_and_profit() -> None:
    portfolio = value(BTC, quotes={"BTC-USD": quote("150")}, equity_at_day_start=Decimal(1_250))

    assert portfolio.equity == 1_300
    assert portfolio.gross_exposure == 300
    assert portfolio.unrealised_pnl == 100
    assert portfolio.realised_pnl == 5
    assert portfolio.day_pnl == 50
    assert portfolio.leverage == Decimal("0.230769")
    (held,) = portfolio.positions
    assert (held.last_price, held.price_as_of, held.market_value, held.unrealised_pnl) == (150, NOW, 300, 100)


def test_position_quoted_in_another_currency_is_converted() -> None:
    portfolio = value(ETH, quotes={"ETH-BTC": quote("0.06"), "BTC-USDT": quote("50000", 3)})

    assert portfolio.equity == 1_000 + 30_000
    assert portfolio.unrealised_pnl == 5_000
    assert portfolio.realised_pnl == 5_000
    (held,) = portfolio.positions
    assert held.market_value == Decimal("0.6")


def test_flat_position_counts_in_realised_profit_only() -> None:
    portfolio = value(BTC, GONE, quotes={"BTC-USD": quote("150")})

    assert [held.position.symbol for held in portfolio.positions] == ["BTC-USD"]
    assert portfolio.realised_pnl == -2


def test_missing_price_leaves_every_figure_that_needs_it_unknown() -> None:
    portfolio = value(BTC, equity_at_day_start=Decimal(1))

    assert portfolio.missing == ("BTC-USD",)
    assert portfolio.stale
    assert portfolio.equity is None
    assert portfolio.day_pnl is None
    assert portfolio.leverage is None
    assert portfolio.unrealised_pnl is None
    assert portfolio.realised_pnl == 5
    assert portfolio.positions[0].market_value is None


def test_missing_rate_of_cash_leaves_equity_unknown_unless_there_is_none_of_it() -> None:
    assert value(cash={"EUR": Decimal(5)}).missing == ("EUR",)
    assert value(cash={"EUR": Decimal(0), "USD": Decimal(1)}).equity == 1


def test_old_price_is_used_and_said_to_be_stale() -> None:
    fresh, old = (value(BTC, quotes={"BTC-USD": quote("150", age)}) for age in (30, 31))

    assert (fresh.stale, old.stale) == (False, True)
    assert old.equity == 1_300


def test_leverage_is_unknown_without_positive_equity() -> None:
    assert leverage(Decimal(50), Decimal(100)) == Decimal("0.5")
    assert leverage(Decimal(50), Decimal(0)) is None
    assert leverage(Decimal(50), None) is None
    assert leverage(None, Decimal(100)) is None


def test_rate_is_par_or_the_first_dollar_quote_there_is() -> None:
    quotes = {"BTC-USDC": quote("3"), "BTC-USDT": quote("2")}

    assert usd_rate("USDT", {}) == PriceQuote(Decimal(1), None)
    assert usd_rate("BTC", quotes) == quote("2")
    assert usd_rate("BTC", {}) is None


def test_converted_price_is_as_old_as_the_older_quote() -> None:
    converted = usd_price("ETH-BTC", {"ETH-BTC": quote("0.05", 5), "BTC-USD": quote("100", 9)})

    assert converted == PriceQuote(Decimal(5), NOW - timedelta(seconds=9))


amounts = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(1_000), places=2)


@given(st.lists(st.tuples(amounts, amounts, amounts), min_size=1, max_size=6), amounts)
def test_equity_is_what_was_paid_in_plus_all_profit(
    purchases: list[tuple[Decimal, Decimal, Decimal]], last_price: Decimal
) -> None:
    paid_in = cash = Decimal(10) ** 8
    position = replace(BTC, quantity=Decimal(0), average_price=Decimal(0), realised_pnl=Decimal(0))
    for quantity, price, fee in purchases:
        position = apply_fill(position, side=Side.BUY, quantity=quantity, price=price, fee=fee)
        cash -= quantity * price + fee
    half = position.quantity / 2
    position = apply_fill(position, side=Side.SELL, quantity=half, price=last_price)
    cash += half * last_price

    portfolio = value(position, cash={"USD": cash}, quotes={"BTC-USD": PriceQuote(last_price, NOW)})

    assert portfolio.equity is not None
    assert portfolio.realised_pnl is not None
    assert portfolio.unrealised_pnl is not None
    assert abs(portfolio.equity - paid_in - portfolio.realised_pnl - portfolio.unrealised_pnl) < Decimal(
        "1e-9"
    )
