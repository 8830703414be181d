from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.limits import LimitBreach, RiskLimits
from alphapulse.domain.orders import Side
from alphapulse.domain.pretrade import Exposure, OpenOrder, ProposedOrder, check_limits
from alphapulse.domain.quotes import PriceQuote

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LIMITS = RiskLimits()


def quotes(**prices: str) -> Mapping[str, PriceQuote]:
    return {symbol.replace("_", "-"): PriceQuote(Decimal(price), NOW) for symbol, price in prices.items()}


CALM = Exposure(
    positions={},
    equity=Decimal(100_000),
    day_pnl=Decimal(0),
    peak_equity=Decimal(100_000),
    quotes=quotes(BTC_USD="50000", ETH_USD="2500", ETH_BTC="0.05"),
)


def buy(quantity: str, symbol: str = "BTC-USD", price: str | None = None) -> ProposedOrder:
    return ProposedOrder(symbol, Side.BUY, Decimal(quantity), None if price is None else Decimal(price))


def sell(quantity: str, symbol: str = "BTC-USD") -> ProposedOrder:
    return ProposedOrder(symbol, Side.SELL, Decimal(quantity))


def check(order: ProposedOrder, exposure: Exposure = CALM, limits: RiskLimits = LIMITS) -> LimitBreach | None:
    return check_limits(order, exposure=exposure, limits=limits, now=NOW)


def breached(order: ProposedOrder, exposure: Exposure = CALM, limits: RiskLimits = LIMITS) -> str:
    breach = check(order, exposure, limits)
    assert breach is not None
    assert breach.reason
    return breach.limit


def test_buy_that_reaches_the_position_limit_exactly_is_allowed() -> None:
    assert check(buy("0.4")) is None


def test_buy_beyond_the_position_limit_names_limit_value_and_bound() -> None:
    breach = check(buy("0.5"))

    assert breach is not None
    assert (breach.limit, breach.value, breach.bound) == (
        "max_position_pct",
        Decimal("0.25"),
        Decimal("0.20"),
    )


def test_position_that_is_already_there_counts() -> None:
    exposure = replace(CALM, positions={"BTC-USD": Decimal("0.3")})

    assert check(buy("0.1"), exposure) is None
    assert breached(buy("0.10001"), exposure) == "max_position_pct"


def test_open_buys_count_and_open_sells_do_not_make_room() -> None:
    waiting = OpenOrder("BTC-USD", Side.BUY, Decimal("0.3"), Decimal(50_000))
    leaving = OpenOrder("BTC-USD", Side.SELL, Decimal("0.3"), Decimal(50_000))

    assert breached(buy("0.2"), replace(CALM, open_orders=(waiting,))) == "max_position_pct"
    assert check(buy("0.4"), replace(CALM, open_orders=(leaving,))) is None


def test_limit_order_counts_at_its_limit_price() -> None:
    assert check(buy("1", price="20000")) is None
    assert breached(buy("0.4", price="50001")) == "max_position_pct"


def test_leverage_counts_every_position_and_open_buy() -> None:
    limits = replace(LIMITS, max_position_pct=Decimal(1))
    exposure = replace(CALM, positions={"ETH-USD": Decimal(20)})
    waiting = OpenOrder("ETH-USD", Side.BUY, Decimal(10), None)

    assert check(buy("1"), exposure, limits) is None
    assert breached(buy("1"), replace(exposure, open_orders=(waiting,)), limits) == "max_leverage"
    assert (
        check(buy("1"), replace(exposure, open_orders=(waiting,)), replace(limits, max_leverage=Decimal(2)))
        is None
    )


def test_symbol_quoted_in_another_currency_is_valued_in_dollars() -> None:
    assert check(buy("8", "ETH-BTC")) is None
    assert breached(buy("8.1", "ETH-BTC")) == "max_position_pct"


def test_daily_loss_is_measured_against_the_start_of_the_day() -> None:
    at_bound = replace(CALM, equity=Decimal(95_000), day_pnl=Decimal(-5_000))
    beyond = replace(CALM, equity=Decimal(94_999), day_pnl=Decimal(-5_001))

    assert check(buy("0.1"), at_bound) is None
    assert breached(buy("0.1"), beyond) == "daily_loss_pct"


def test_drawdown_is_measured_from_the_peak() -> None:
    assert check(buy("0.1"), replace(CALM, peak_equity=Decimal(125_000))) is None
    assert breached(buy("0.1"), replace(CALM, peak_equity=Decimal(125_001))) == "max_drawdown_pct"


def test_open_positions_are_counted_with_the_new_one() -> None:
    limits = replace(LIMITS, max_open_positions=1)
    exposure = replace(CALM, positions={"ETH-USD": Decimal(1), "SOL-USD": Decimal(0)})

    assert breached(buy("0.1"), exposure, limits) == "max_open_positions"
    assert check(buy("1", "ETH-USD"), exposure, limits) is None


@pytest.mark.parametrize("figure", ["equity", "day_pnl", "peak_equity"])
def test_missing_figure_refuses(figure: str) -> None:
    assert breached(buy("0.1"), replace(CALM, **{figure: None})) == figure


def test_missing_portfolio_refuses_buys_and_sells() -> None:
    unknown = replace(CALM, positions=None)

    assert breached(buy("0.1"), unknown) == breached(sell("0.1"), unknown) == "portfolio"


@pytest.mark.parametrize("equity", ["0", "-5"])
def test_equity_that_is_not_positive_refuses(equity: str) -> None:
    assert breached(buy("0.1"), replace(CALM, equity=Decimal(equity))) == "equity"


def test_missing_price_refuses_even_a_limit_order() -> None:
    nothing = replace(CALM, quotes={})

    assert breached(buy("0.1"), nothing) == breached(buy("0.1", price="50000"), nothing) == "price"


def test_missing_price_of_another_position_refuses() -> None:
    assert breached(buy("0.1"), replace(CALM, positions={"SOL-USD": Decimal(1)})) == "price"


def test_missing_rate_of_the_quote_currency_refuses() -> None:
    assert breached(buy("1", "ETH-BTC"), replace(CALM, quotes=quotes(ETH_BTC="0.05"))) == "price"


def test_price_that_is_not_positive_refuses() -> None:
    assert breached(buy("0.1"), replace(CALM, quotes=quotes(BTC_USD="0"))) == "price"


@pytest.mark.parametrize(
    ("age", "limit"), [(30, None), (31, "price_age_seconds"), (-31, "price_age_seconds")]
)
def test_price_older_than_the_maximum_or_from_the_future_refuses(age: int, limit: str | None) -> None:
    stale = {"BTC-USD": PriceQuote(Decimal(50_000), NOW - timedelta(seconds=age))}

    breach = check(buy("0.1"), replace(CALM, quotes=stale))

    assert (breach and breach.limit) == limit


def test_stale_price_tells_age_and_bound() -> None:
    stale = {"BTC-USD": PriceQuote(Decimal(50_000), NOW - timedelta(seconds=45.5))}

    breach = check(buy("0.1"), replace(CALM, quotes=stale))

    assert breach is not None
    assert (breach.value, breach.bound) == (Decimal("45.5"), 30)


def test_reducing_sell_is_allowed_whatever_is_breached_or_missing() -> None:
    desperate = Exposure(positions={"BTC-USD": Decimal(1)}, equity=None, day_pnl=None, peak_equity=None)

    assert check(sell("1"), desperate) is None


def test_sell_beyond_what_is_held_less_open_sells_is_refused() -> None:
    leaving = OpenOrder("BTC-USD", Side.SELL, Decimal("0.4"), None)
    exposure = replace(CALM, positions={"BTC-USD": Decimal(1)}, open_orders=(leaving,))

    assert check(sell("0.6"), exposure) is None
    breach = check(sell("0.61"), exposure)
    assert breach is not None
    assert (breach.limit, breach.value, breach.bound) == (
        "available_quantity",
        Decimal("0.61"),
        Decimal("0.6"),
    )


def test_sell_of_what_is_not_held_is_refused() -> None:
    assert breached(sell("0.1")) == "available_quantity"


def test_order_without_positive_quantity_is_an_error() -> None:
    with pytest.raises(ValueError, match="quantity must be positive, was 0"):
        check(buy("0"))


amounts = st.decimals(min_value=Decimal("0.00001"), max_value=Decimal(5), places=5)


@given(held=amounts, waiting=amounts, asked=amounts)
def test_orders_allowed_one_after_the_other_never_pass_the_limit_together(
    held: Decimal, waiting: Decimal, asked: Decimal
) -> None:
    exposure = replace(
        CALM,
        positions={"BTC-USD": held},
        open_orders=(OpenOrder("BTC-USD", Side.BUY, waiting, Decimal(50_000)),),
    )

    together = (held + waiting + asked) * 50_000

    assert (check(ProposedOrder("BTC-USD", Side.BUY, asked), exposure) is None) == (together <= 20_000)
