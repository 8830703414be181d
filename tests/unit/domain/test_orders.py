import itertools
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.money import Money
from alphapulse.domain.orders import (
    TRANSITIONS,
    Fill,
    IllegalTransition,
    InconsistentFills,
    OrderError,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    advance,
    client_order_id,
    fold_fills,
)

S = OrderStatus
TENANT = UUID("0192f0c1-2a3b-7c4d-8e5f-60718293a4b5")
OTHER_TENANT = UUID("0192f0c1-2a3b-7c4d-8e5f-60718293a4b6")
FINAL = {S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED}
AT = datetime(2026, 1, 1, tzinfo=UTC)

statuses = st.sampled_from(OrderStatus)
amounts = st.decimals(min_value=Decimal("0.00001"), max_value=Decimal(10_000), places=8)


def a_fill(
    number: int, quantity: str | Decimal, price: str | Decimal, fee: str = "0", currency: str = "USD"
) -> Fill:
    return Fill(f"x{number}", Decimal(quantity), Decimal(price), Money(Decimal(fee), currency), AT)


def test_every_status_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)


@pytest.mark.parametrize(
    "life",
    [
        (S.NEW, S.PENDING_SUBMIT, S.OPEN, S.PARTIALLY_FILLED, S.PARTIALLY_FILLED, S.FILLED),
        (S.NEW, S.PENDING_SUBMIT, S.OPEN, S.PARTIALLY_FILLED, S.CANCELLED),
        (S.NEW, S.PENDING_SUBMIT, S.FILLED),
        (S.NEW, S.PENDING_SUBMIT, S.REJECTED),
        (S.NEW, S.PENDING_SUBMIT, S.UNKNOWN, S.UNKNOWN, S.OPEN, S.EXPIRED),
        (S.NEW, S.CANCELLED),
    ],
)
def test_lives_of_orders_are_allowed(life: tuple[OrderStatus, ...]) -> None:
    for current, target in itertools.pairwise(life):
        assert advance(current, target) is target


@given(statuses, statuses)
def test_transition_is_made_if_and_only_if_the_table_has_it(
    current: OrderStatus, target: OrderStatus
) -> None:
    if target in TRANSITIONS[current]:
        assert advance(current, target) is target
    else:
        with pytest.raises(IllegalTransition, match=f"that is {current} cannot become {target}"):
            advance(current, target)


@given(st.lists(statuses, max_size=12))
def test_no_walk_leaves_a_final_status_or_returns_to_before_submission(targets: list[OrderStatus]) -> None:
    current, walked = S.NEW, [S.NEW]
    for target in targets:
        if target in TRANSITIONS[current]:
            current = advance(current, target)
            walked.append(current)

    assert not FINAL.intersection(walked[:-1])
    assert walked.count(S.PENDING_SUBMIT) <= 1
    assert walked.count(S.NEW) == 1


def test_a_lost_answer_never_leads_back_to_submission() -> None:
    with pytest.raises(IllegalTransition):
        advance(S.UNKNOWN, S.PENDING_SUBMIT)


def test_final_statuses_are_those_that_lead_nowhere() -> None:
    assert {status for status in OrderStatus if status.is_final} == FINAL
    assert {status for status in OrderStatus if status.is_working} == set(OrderStatus) - FINAL


def test_words_are_understood_in_either_case() -> None:
    assert (Side("BUY"), OrderType("STOP_LIMIT"), TimeInForce("GTC")) == ("buy", "stop_limit", "gtc")
    with pytest.raises(ValueError, match="is not a valid Side"):
        Side("hold")


def test_client_order_id_is_a_uuid_that_repeats_for_the_same_request() -> None:
    derived = client_order_id(TENANT, "retry-me")

    assert derived == client_order_id(TENANT, "retry-me")
    assert str(UUID(derived)) == derived
    assert UUID(derived).version == 5


def test_client_order_id_is_pinned_because_changing_it_would_send_orders_twice() -> None:
    assert client_order_id(TENANT, "retry-me") == "11870879-236d-5e13-9761-6256fa6924b0"


@given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
def test_client_order_ids_differ_by_key_and_by_tenant(one: str, other: str) -> None:
    assert (client_order_id(TENANT, one) == client_order_id(TENANT, other)) == (one == other)
    assert client_order_id(TENANT, one) != client_order_id(OTHER_TENANT, one)


def test_empty_idempotency_key_is_refused() -> None:
    with pytest.raises(OrderError, match="must not be empty"):
        client_order_id(TENANT, "")


def test_no_fills_leave_an_order_open() -> None:
    state = fold_fills([], ordered_quantity=Decimal(1))

    assert (state.filled_quantity, state.average_price, state.fees, state.status) == (0, None, (), S.OPEN)


def test_fills_fold_to_the_weighted_average_price_and_fees_by_currency() -> None:
    fills = [
        a_fill(1, "1", "100", "0.1"),
        a_fill(2, "3", "200", "0.6"),
        a_fill(3, "1", "300", "0.001", "BNB"),
    ]

    state = fold_fills(fills, ordered_quantity=Decimal(6))

    assert state.filled_quantity == 5
    assert state.average_price == 200
    assert state.fees == (Money(Decimal("0.001"), "BNB"), Money(Decimal("0.7"), "USD"))
    assert state.fee_in("USD") == Decimal("0.7")
    assert state.fee_in("EUR") == 0
    assert state.status is S.PARTIALLY_FILLED


def test_fill_reported_twice_counts_once() -> None:
    fill = a_fill(1, "1", "100")

    state = fold_fills([fill, fill], ordered_quantity=Decimal(1))

    assert (state.filled_quantity, state.status) == (1, S.FILLED)


def test_one_execution_with_two_contents_is_refused() -> None:
    with pytest.raises(InconsistentFills, match="reported with two contents"):
        fold_fills([a_fill(1, "1", "100"), a_fill(1, "2", "100")], ordered_quantity=Decimal(5))


def test_more_filled_than_ordered_is_refused() -> None:
    with pytest.raises(InconsistentFills, match=r"filled 2 of an order for 1\.5"):
        fold_fills([a_fill(1, "2", "100")], ordered_quantity=Decimal("1.5"))


@pytest.mark.parametrize(("quantity", "price"), [("0", "1"), ("-1", "1"), ("1", "0")])
def test_fill_without_positive_quantity_and_price_is_refused(quantity: str, price: str) -> None:
    with pytest.raises(InconsistentFills, match="must have positive quantity and price"):
        fold_fills([a_fill(1, quantity, price)], ordered_quantity=Decimal(5))


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=8), st.randoms())
def test_fold_does_not_depend_on_the_order_of_fills(
    pairs: list[tuple[Decimal, Decimal]], random: Random
) -> None:
    fills = [a_fill(number, quantity, price) for number, (quantity, price) in enumerate(pairs)]
    total = sum(quantity for quantity, _ in pairs)
    shuffled = random.sample(fills, len(fills))

    state = fold_fills(fills, ordered_quantity=Decimal(total))

    assert state == fold_fills(shuffled, ordered_quantity=Decimal(total))
    assert state.status is S.FILLED
    assert state.average_price is not None
    assert min(price for _, price in pairs) <= state.average_price <= max(price for _, price in pairs)
