"""Plans of a rebalance: by hand, and what must hold for every plan."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.instruments import Instrument
from alphapulse.domain.money import decimal_text
from alphapulse.domain.orders import Side
from alphapulse.domain.rebalance.plan import (
    Holdings,
    InvalidTargets,
    Market,
    NothingToInvest,
    PriceMissing,
    RebalanceError,
    RebalancePlan,
    RebalanceTerms,
    Skipped,
)
from alphapulse.domain.rebalance.planner import plan_rebalance

FREE = RebalanceTerms(fee_rate=Decimal(0))


def market(symbol: str, price: str, *, lot: str = "0.001", least: str = "10") -> Market:
    rules = Instrument(symbol, lot=Decimal(lot), tick=Decimal("0.01"), min_notional=Decimal(least))
    return Market(Decimal(price), rules)


MARKETS = {"BTC-USD": market("BTC-USD", "50000"), "ETH-USD": market("ETH-USD", "2000", lot="0.01")}


def planned(
    cash: str,
    held: Mapping[str, str],
    targets: Mapping[str, str],
    terms: RebalanceTerms = FREE,
) -> RebalancePlan:
    return plan_rebalance(
        Holdings(cash=Decimal(cash), quantities={s: Decimal(q) for s, q in held.items()}),
        {symbol: Decimal(weight) for symbol, weight in targets.items()},
        MARKETS,
        terms=terms,
    )


def told(plan: RebalancePlan) -> list[tuple[str, str, str]]:
    return [(order.side.value, order.symbol, decimal_text(order.quantity)) for order in plan.orders]


def test_sells_come_before_the_buys_they_pay_for() -> None:
    # 2 BTC are all of 100,000; half of it becomes 25 ETH.
    plan = planned("0", {"BTC-USD": "2"}, {"BTC-USD": "0.5", "ETH-USD": "0.5"})

    assert told(plan) == [("sell", "BTC-USD", "1"), ("buy", "ETH-USD", "25")]
    assert (plan.cash_after, plan.fees, plan.turnover) == (0, 0, 1)
    assert plan.weights_before == {"BTC-USD": 1}
    assert plan.weights_after == {"BTC-USD": Decimal("0.5"), "ETH-USD": Decimal("0.5")}


def test_fees_come_out_of_what_is_distributed() -> None:
    terms = RebalanceTerms(fee_rate=Decimal("0.001"))

    plan = planned("100000", {}, {"BTC-USD": "1"}, terms)

    # x + 0.001 x = 100,000 leaves 99,900.09...: 1.998 BTC for 99,900 and 99.90 of fees.
    assert told(plan) == [("buy", "BTC-USD", "1.998")]
    assert plan.fees == Decimal("99.9")
    assert plan.cash_after == Decimal("0.1")
    assert plan.equity_before - plan.equity_after == plan.fees


def test_what_is_no_longer_wanted_is_sold_and_dust_stays() -> None:
    plan = planned("0", {"ETH-USD": "1.234", "BTC-USD": "0.0001"}, {})

    assert told(plan) == [("sell", "ETH-USD", "1.23")]
    assert plan.skipped == (Skipped("BTC-USD", "below_lot"),)


def test_small_drift_is_left_alone() -> None:
    # BTC is 52 %, ETH 48 %.
    held, targets = {"BTC-USD": "1.04", "ETH-USD": "24"}, {"BTC-USD": "0.5", "ETH-USD": "0.5"}

    assert told(planned("0", held, targets)) == [("sell", "BTC-USD", "0.04"), ("buy", "ETH-USD", "1")]
    still = planned("0", held, targets, RebalanceTerms(fee_rate=Decimal(0), drift=Decimal("0.02")))
    assert still.orders == ()
    assert still.skipped == (Skipped("BTC-USD", "within_drift"), Skipped("ETH-USD", "within_drift"))


def test_orders_below_the_smallest_notional_are_left_out() -> None:
    terms = RebalanceTerms(fee_rate=Decimal(0), min_notional=Decimal(5000))

    plan = planned("10000", {"BTC-USD": "1.8"}, {"BTC-USD": "0.94", "ETH-USD": "0.06"}, terms)

    assert told(plan) == [("buy", "ETH-USD", "3")]
    assert plan.skipped == (Skipped("BTC-USD", "below_min_notional"),)


def test_cash_buffer_is_kept_and_made() -> None:
    terms = RebalanceTerms(fee_rate=Decimal(0), cash_buffer=Decimal("0.1"))

    assert planned("100000", {}, {"BTC-USD": "1"}, terms).cash_after == Decimal(10000)
    assert told(planned("0", {"BTC-USD": "2"}, {"BTC-USD": "1"}, terms)) == [("sell", "BTC-USD", "0.2")]


def test_turnover_limit_makes_all_orders_smaller_alike() -> None:
    terms = RebalanceTerms(fee_rate=Decimal(0), max_turnover=Decimal("0.5"))

    plan = planned("0", {"BTC-USD": "2"}, {"BTC-USD": "0.5", "ETH-USD": "0.5"}, terms)

    assert told(plan) == [("sell", "BTC-USD", "0.5"), ("buy", "ETH-USD", "12.5")]
    assert plan.turnover == Decimal("0.5")


def test_buys_are_made_smaller_when_a_sell_cannot_be_done() -> None:
    least = RebalanceTerms(fee_rate=Decimal(0), min_notional=Decimal(5001))
    held, targets = {"BTC-USD": "1.8"}, {"BTC-USD": "0.86", "ETH-USD": "0.14"}

    # 90,000 and 10,000 in cash: 4,000 of BTC are too little to be sold, 14,000 of ETH too much to be bought.
    plan = planned("10000", held, targets, least)

    assert told(plan) == [("buy", "ETH-USD", "5")]
    assert plan.skipped == (Skipped("BTC-USD", "below_min_notional"),)
    poor = planned("5000", {"BTC-USD": "1.9"}, {"BTC-USD": "0.9", "ETH-USD": "0.1"}, least)
    assert poor.orders == ()
    assert poor.skipped == (Skipped("BTC-USD", "below_min_notional"), Skipped("ETH-USD", "no_cash"))


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ({"BTC-USD": "-0.1"}, InvalidTargets, "must not be negative"),
        ({"BTC-USD": "NaN"}, InvalidTargets, "BTC-USD"),
        ({"BTC-USD": "0.6", "ETH-USD": "0.5"}, InvalidTargets, "sum to 1.1"),
        ({"SOL-USD": "0.5"}, PriceMissing, "SOL-USD"),
    ],
)
def test_targets_that_make_no_sense_are_refused(
    targets: dict[str, str], error: type[RebalanceError], message: str
) -> None:
    with pytest.raises(error, match=message):
        planned("1000", {}, targets)


def test_what_is_held_needs_a_price_too() -> None:
    with pytest.raises(PriceMissing, match="XMR-USD"):
        planned("1000", {"XMR-USD": "1"}, {})
    with pytest.raises(NothingToInvest, match="equity"):
        planned("0", {}, {"BTC-USD": "1"})
    with pytest.raises(RebalanceError, match="cash"):
        planned("-1", {}, {})
    with pytest.raises(RebalanceError, match="quantity of BTC-USD"):
        planned("1", {"BTC-USD": "-1"}, {})


@pytest.mark.parametrize(
    "terms",
    [
        {"fee_rate": Decimal("-0.001")},
        {"fee_rate": Decimal("NaN")},
        {"cash_buffer": Decimal(1)},
        {"drift": Decimal("1.5")},
        {"min_notional": Decimal(-1)},
        {"max_turnover": Decimal(0)},
    ],
)
def test_terms_out_of_bounds_are_refused(terms: dict[str, Decimal]) -> None:
    with pytest.raises(RebalanceError, match=next(iter(terms))):
        RebalanceTerms(**terms)


PRICES = st.decimals("0.01", "100000", places=2)
QUANTITIES = st.decimals("0", "1000", places=4)
LOTS = st.sampled_from(["0.0001", "0.01", "1"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Holdings, dict[str, Decimal], dict[str, Market], RebalanceTerms]:
    symbols = [f"A{number}-USD" for number in range(draw(st.integers(1, 5)))]
    raw = [draw(st.integers(0, 100)) for _ in symbols]
    whole = max(sum(raw), 1) * draw(st.integers(1, 3))
    return (
        Holdings(
            cash=draw(st.decimals("0.01", "1000000", places=2)),
            quantities={symbol: draw(QUANTITIES) for symbol in symbols},
        ),
        {symbol: Decimal(weight) / whole for symbol, weight in zip(symbols, raw, strict=True)},
        {symbol: market(symbol, str(draw(PRICES)), lot=draw(LOTS)) for symbol in symbols},
        RebalanceTerms(
            fee_rate=draw(st.decimals("0", "0.01", places=4)),
            cash_buffer=draw(st.decimals("0", "0.5", places=2)),
            drift=draw(st.decimals("0", "0.2", places=2)),
            min_notional=draw(st.decimals("0", "1000", places=0)),
            max_turnover=draw(st.none() | st.decimals("0.01", "2", places=2)),
        ),
    )


@settings(max_examples=300, deadline=None)
@given(cases())
def test_every_plan_can_be_paid_for_and_loses_its_fees_alone(
    case: tuple[Holdings, dict[str, Decimal], dict[str, Market], RebalanceTerms],
) -> None:
    holdings, targets, markets, terms = case

    plan = plan_rebalance(holdings, targets, markets, terms=terms)

    assert plan.cash_after >= 0
    assert plan.equity_before - plan.equity_after == plan.fees
    cash, left = holdings.cash, dict(holdings.quantities)
    for order in plan.orders:  # in this order, each can be paid and each sell is held
        rules = markets[order.symbol].instrument
        assert order.quantity % rules.lot == 0
        assert order.notional >= max(rules.min_notional, terms.min_notional)
        signed = order.quantity if order.side is Side.BUY else -order.quantity
        left[order.symbol] = left.get(order.symbol, Decimal(0)) + signed
        cash -= signed * order.price + order.fee
        assert cash >= 0
        assert left[order.symbol] >= 0
    assert cash == plan.cash_after
    if terms.max_turnover is not None:
        assert plan.turnover <= terms.max_turnover + Decimal("0.000001")
    assert [order.side for order in plan.orders] == sorted(
        (order.side for order in plan.orders), key=lambda side: side is Side.BUY
    )


@settings(max_examples=300, deadline=None)
@given(cases())
def test_no_order_passes_its_target(
    case: tuple[Holdings, dict[str, Decimal], dict[str, Market], RebalanceTerms],
) -> None:
    holdings, targets, markets, terms = case

    plan = plan_rebalance(holdings, targets, markets, terms=terms)

    for order in plan.orders:
        target = targets.get(order.symbol, Decimal(0)) * (1 - terms.cash_buffer) * plan.equity_before
        value = holdings.quantities.get(order.symbol, Decimal(0)) * order.price
        if order.side is Side.BUY:
            assert value + order.notional <= target * (1 + Decimal("1e-9"))
        else:
            # What fees take lowers the target by at most the fees of the whole turnover.
            fees = terms.fee_rate * plan.equity_before * 2
            assert value - order.notional >= target - fees - Decimal("1e-9")


@settings(max_examples=200, deadline=None)
@given(cases())
def test_planning_again_after_the_plan_was_done_asks_for_almost_nothing(
    case: tuple[Holdings, dict[str, Decimal], dict[str, Market], RebalanceTerms],
) -> None:
    holdings, targets, markets, terms = case
    if terms.max_turnover is not None:
        return
    plan = plan_rebalance(holdings, targets, markets, terms=terms)
    quantities = dict(holdings.quantities)
    for order in plan.orders:
        quantities[order.symbol] += order.quantity if order.side is Side.BUY else -order.quantity

    if plan.equity_after <= 0:
        return
    again = plan_rebalance(
        Holdings(cash=plan.cash_after, quantities=quantities), targets, markets, terms=terms
    )

    assert again.turnover <= plan.turnover or again.orders == ()
