"""When a signal is scored: with what was known at its two moments, and never with anything later."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.domain.instruments import Interval
from alphapulse.domain.outcomes import (
    Claim,
    Close,
    LooksAhead,
    Scored,
    Unscorable,
    Waiting,
    judge,
    patience,
)
from alphapulse.domain.signals import Direction

MADE = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
HORIZON = MADE + timedelta(hours=24)
CLAIM = Claim("BTC-USD", Interval.HOUR, Direction.BUY, 0.7, MADE, HORIZON)
SOON = HORIZON + timedelta(minutes=2)
LATE = HORIZON + timedelta(hours=6)


def close(moment: datetime, price: str = "100", *, source: str = "binance", final: bool = True) -> Close:
    return Close(Decimal(price), moment, source, final)


def at(hour: int, day: int = 1) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def test_prices_of_both_moments_give_the_score() -> None:
    verdict = judge(CLAIM, close(at(12)), close(at(12, 2), "110"), now=SOON)

    assert isinstance(verdict, Scored)
    assert verdict.score.forward_return == Decimal("0.1")
    assert verdict.score.hit
    assert (verdict.at_signal.closed_at, verdict.at_horizon.closed_at) == (at(12), at(12, 2))


def test_bars_that_close_at_the_very_moments_count() -> None:
    claim = Claim("BTC-USD", Interval.HOUR, Direction.BUY, 0.7, at(12), at(12, 2))

    assert isinstance(judge(claim, close(at(12)), close(at(12, 2)), now=SOON), Scored)


def test_bar_one_interval_old_does_not_count_because_the_next_is_still_to_come() -> None:
    claim = Claim("BTC-USD", Interval.HOUR, Direction.BUY, 0.7, at(12), at(12, 2))

    assert isinstance(judge(claim, close(at(12)), close(at(11, 2)), now=at(12, 2)), Waiting)


@pytest.mark.parametrize(
    ("at_signal", "at_horizon"),
    [
        (close(at(12)), close(at(11, 2))),
        (close(at(12)), close(at(12))),
        (close(at(12)), None),
        (close(at(11)), close(at(12, 2))),
        (None, close(at(12, 2))),
        (None, None),
        (close(at(12)), close(at(12, 2), final=False)),
        (close(at(12), final=False), close(at(12, 2))),
    ],
)
def test_signal_without_its_prices_waits_and_then_gives_up_with_a_reason(
    at_signal: Close | None, at_horizon: Close | None
) -> None:
    assert judge(CLAIM, at_signal, at_horizon, now=SOON) == Waiting(SOON + timedelta(minutes=15))
    assert judge(CLAIM, at_signal, at_horizon, now=LATE - timedelta(minutes=1)) == Waiting(LATE)

    given_up = judge(CLAIM, at_signal, at_horizon, now=LATE)

    assert isinstance(given_up, Unscorable)
    assert "BTC-USD 1h" in given_up.reason


def test_reasons_say_what_was_found() -> None:
    missing = judge(CLAIM, close(at(12)), close(at(9, 2)), now=LATE)
    open_bar = judge(CLAIM, close(at(12)), close(at(12, 2), final=False), now=LATE)
    nothing = judge(CLAIM, None, close(at(12, 2)), now=LATE)

    assert missing == Unscorable(
        "the last bar of BTC-USD 1h before its horizon, 2026-03-02T12:30:00Z, closed at 2026-03-02T09:00:00Z"
    )
    assert open_bar == Unscorable(
        "the bar of BTC-USD 1h that closed before its horizon, 2026-03-02T12:30:00Z, was never completed"
    )
    assert nothing == Unscorable(
        "there is no bar of BTC-USD 1h that had closed at the signal, 2026-03-01T12:30:00Z"
    )


def test_replay_without_a_price_at_the_signal_is_given_up_at_once() -> None:
    old = close(datetime(2024, 12, 31, tzinfo=UTC), source="directory")

    verdict = judge(CLAIM, old, old, now=SOON, replay=True)

    assert isinstance(verdict, Unscorable)
    assert verdict.reason.startswith("the candles are a replay of history: the last bar of BTC-USD 1h")


def test_files_that_reach_beyond_the_signal_may_still_grow() -> None:
    verdict = judge(CLAIM, close(at(12), source="directory"), None, now=SOON, replay=True)

    assert isinstance(verdict, Waiting)


def test_prices_of_two_sources_are_not_compared() -> None:
    verdict = judge(CLAIM, close(at(12)), close(at(12, 2), source="simulated"), now=SOON)

    assert verdict == Unscorable("the prices are of different sources, binance and simulated")


def test_impossible_prices_are_unscorable() -> None:
    verdict = judge(CLAIM, close(at(12), "0.000000000000000001"), close(at(12, 2)), now=SOON)

    assert isinstance(verdict, Unscorable)


@given(st.integers(1, 10**9))
def test_bar_from_after_its_moment_is_refused(seconds: int) -> None:
    late = timedelta(seconds=seconds)
    with pytest.raises(LooksAhead):
        judge(CLAIM, close(MADE + late), close(at(12, 2)), now=SOON)
    with pytest.raises(LooksAhead):
        judge(CLAIM, close(at(12)), close(HORIZON + late), now=SOON)


def test_nothing_is_scored_before_its_horizon() -> None:
    with pytest.raises(LooksAhead):
        judge(CLAIM, close(at(12)), close(at(12, 2)), now=HORIZON - timedelta(seconds=1))


def test_patience_is_three_bars_and_at_least_six_hours() -> None:
    waits = [patience(interval) for interval in Interval]

    assert waits == [timedelta(hours=hours) for hours in (6, 6, 6, 6, 12, 72)]
