"""Signals are scored with stored candles once their horizon has passed: with which prices, and when not."""

import datetime as dt
from decimal import Decimal

import pytest

from alphapulse.agents import track_records
from alphapulse.agents.track_records import RecordKey
from alphapulse.domain.instruments import Interval
from alphapulse.domain.track_record import TrackRecord
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.conftest import TenantFactory
from tests.function.conftest import Clock, Functions
from tests.function.signal_scoring.conftest import HORIZON, MADE, NOW, Candles, Signals, bars

AT_SIGNAL = MADE.replace(minute=0)
AT_HORIZON = HORIZON.replace(minute=0)


async def tick(functions: Functions) -> None:
    answer = await functions.deliver("signal_scoring", functions.tick("signal-scoring"))
    assert answer.status_code == 204, answer.text


async def records(database: Database, tenant: TenantId) -> dict[RecordKey, TrackRecord]:
    async with database.tenant(tenant) as session:
        kept = await track_records.read(session, tenant)
        assert kept == await track_records.recompute(session, tenant)
    return kept


def a_day(first: str, last: str) -> list[str]:
    """Closes of the bar before the signal, of those between, and of the one before the horizon."""
    return [first, *["777"] * 23, last]


@pytest.fixture
async def rising(candles: Candles) -> None:
    """100 at the signal, 110 at the horizon."""
    await candles.store(bars(a_day("100", "110"), last_close=AT_HORIZON), written_at=NOW)


async def test_signal_is_scored_with_the_closes_of_its_two_moments(
    functions: Functions, signals: Signals, rising: None
) -> None:
    signal_id = await signals.add("buy", confidence=0.8)

    await tick(functions)

    found = dict(await signals.outcome(signal_id))
    del found["tenant_id"]
    assert found == {
        "id": signal_id,
        "agent": "technical",
        "symbol": signals.symbol,
        "interval": "1h",
        "agent_version": "2",
        "signal": "buy",
        "confidence": 0.8,
        "horizon_at": HORIZON,
        "due_at": HORIZON,
        "status": "scored",
        "reason": None,
        "signal_price": Decimal(100),
        "signal_price_at": AT_SIGNAL,
        "horizon_price": Decimal(110),
        "horizon_price_at": AT_HORIZON,
        "price_source": "binance",
        "forward_return": Decimal("0.1"),
        "hold_band": Decimal("0.02"),
        "hit": True,
        "brier": Decimal("0.04"),
        "regime": "unknown",  # one bar before the signal
        "scored_at": NOW,
        "created_at": MADE,
    }


async def test_track_record_sums_what_was_scored(
    functions: Functions, signals: Signals, rising: None, app_database: Database, tenant: TenantId
) -> None:
    await signals.add("buy", confidence=0.8)
    await signals.add("buy", confidence=0.6)
    await signals.add("sell", confidence=0.9)
    await signals.add("hold", confidence=0.5, agent="value")

    await tick(functions)

    def key(agent: str) -> RecordKey:
        return RecordKey(agent, signals.symbol, "1h", "unknown", "binance")

    assert await records(app_database, tenant) == {
        key("technical"): TrackRecord(
            scored=3,
            hits=2,
            forward_return_sum=Decimal("0.3"),
            directed_return_sum=Decimal("0.1"),
            confidence_sum=Decimal("2.3"),
            brier_sum=Decimal("1.01"),  # 0.04 + 0.16 + 0.81
        ),
        key("value"): TrackRecord(
            scored=1,
            forward_return_sum=Decimal("0.1"),
            confidence_sum=Decimal("0.5"),
            brier_sum=Decimal("0.25"),
        ),
    }


async def test_abstention_and_signal_without_a_horizon_are_never_scored(
    functions: Functions, signals: Signals, rising: None
) -> None:
    await signals.add(horizon_at=None)

    await tick(functions)

    assert await signals.statuses() == []


async def test_signal_before_its_horizon_waits(functions: Functions, signals: Signals, rising: None) -> None:
    await signals.add(horizon_at=NOW + dt.timedelta(seconds=1))
    just_now = await signals.add(horizon_at=NOW - dt.timedelta(minutes=1, seconds=59))

    await tick(functions)

    assert await signals.statuses() == ["pending", "pending"]
    assert (await signals.outcome(just_now))["due_at"] == NOW - dt.timedelta(minutes=1, seconds=59)


async def test_later_bars_change_neither_price_nor_regime(
    functions: Functions, signals: Signals, candles: Candles, clock: Clock
) -> None:
    past = [str(1000 + n % 7) for n in range(200)]
    await candles.store(bars([*past, *a_day("100", "110")], last_close=AT_HORIZON), written_at=NOW)
    first = await signals.add()
    await tick(functions)
    before = dict(await signals.outcome(first))
    # All after the signal's bar is turned upside down, except the close at the horizon, and much follows.
    await candles.store(bars(["1", *["5000"] * 22, "110"], last_close=AT_HORIZON), written_at=NOW)
    await candles.store(bars(["1"] * 30, last_close=AT_HORIZON + dt.timedelta(hours=30)), written_at=NOW)
    second = await signals.add()

    await tick(functions)

    after = dict(await signals.outcome(second))
    assert after | {"id": first} == before
    assert before["regime"] != "unknown"


async def test_bar_that_is_open_at_the_moment_is_not_its_price(
    functions: Functions, signals: Signals, candles: Candles
) -> None:
    # The bar of 12:00 to 13:00 is open at 12:30; that it closes at 999 nobody knows yet.
    closes = ["100", "999", *["777"] * 22, "110", "999"]
    await candles.store(bars(closes, last_close=AT_HORIZON + dt.timedelta(hours=1)), written_at=NOW)
    signal_id = await signals.add()

    await tick(functions)

    found = await signals.outcome(signal_id)
    assert (found["signal_price"], found["horizon_price"]) == (Decimal(100), Decimal(110))


async def test_missing_bar_is_waited_for_and_then_used(
    functions: Functions,
    signals: Signals,
    candles: Candles,
    clock: Clock,
    app_database: Database,
    tenant: TenantId,
) -> None:
    day = bars(a_day("100", "110"), last_close=AT_HORIZON)
    await candles.store(day[:-1])
    signal_id = await signals.add()

    await tick(functions)

    waiting = await signals.outcome(signal_id)
    assert (waiting["status"], waiting["due_at"]) == ("pending", NOW + dt.timedelta(minutes=15))
    await candles.store(day[-1:], written_at=NOW)
    await tick(functions)
    assert await signals.statuses() == ["pending"]  # it is not looked at before

    clock.advance(minutes=17)
    await tick(functions)

    assert (await signals.outcome(signal_id))["horizon_price"] == Decimal(110)
    [record] = (await records(app_database, tenant)).values()
    assert (record.scored, record.unscorable) == (1, 0)


async def test_missing_bar_that_never_comes_makes_the_signal_unscorable(
    functions: Functions,
    signals: Signals,
    candles: Candles,
    clock: Clock,
    app_database: Database,
    tenant: TenantId,
) -> None:
    await candles.store(bars(a_day("100", "110")[:-1], last_close=AT_HORIZON - dt.timedelta(hours=1)))
    signal_id = await signals.add()
    await tick(functions)

    clock.advance(hours=6)
    await tick(functions)

    found = await signals.outcome(signal_id)
    assert (found["status"], found["forward_return"], found["hit"]) == ("unscorable", None, None)
    assert found["reason"] == (
        f"the last bar of {signals.symbol} 1h before its horizon, 2026-03-03T12:30:00Z,"
        " closed at 2026-03-03T11:00:00Z"
    )
    [(key, record)] = (await records(app_database, tenant)).items()
    assert (key.regime, key.source, record) == ("unknown", "none", TrackRecord(unscorable=1))


async def test_bar_stored_while_it_was_open_is_waited_for(
    functions: Functions, signals: Signals, candles: Candles, clock: Clock
) -> None:
    day = bars(a_day("100", "109"), last_close=AT_HORIZON)
    await candles.store(day, written_at=AT_HORIZON - dt.timedelta(seconds=1))
    signal_id = await signals.add()
    await tick(functions)
    assert await signals.statuses() == ["pending"]

    await candles.store(bars(["110"], last_close=AT_HORIZON), written_at=AT_HORIZON + dt.timedelta(seconds=2))
    clock.advance(minutes=17)
    await tick(functions)

    assert (await signals.outcome(signal_id))["horizon_price"] == Decimal(110)


async def test_replayed_history_that_ends_before_the_signal_is_given_up_at_once(
    functions: Functions, signals: Signals, candles: Candles
) -> None:
    await candles.store(
        bars(["90", "100"], last_close=AT_SIGNAL - dt.timedelta(days=400)), source="directory"
    )
    signal_id = await signals.add()

    await tick(functions)

    found = await signals.outcome(signal_id)
    assert found["status"] == "unscorable"
    assert found["reason"].startswith("the candles are a replay of history: the last bar of")


async def test_signal_on_a_symbol_without_candles_is_given_up_in_the_end(
    functions: Functions, signals: Signals, clock: Clock
) -> None:
    signal_id = await signals.add()
    await tick(functions)
    clock.advance(hours=7)

    await tick(functions)

    assert "there is no bar of" in (await signals.outcome(signal_id))["reason"]


async def test_minute_and_day_signals_are_priced_by_their_own_bars(
    functions: Functions, signals: Signals, candles: Candles, rising: None
) -> None:
    await candles.store(
        bars(["50"], last_close=MADE, interval=Interval.MINUTE), interval=Interval.MINUTE, written_at=NOW
    )
    await candles.store(
        bars(["45"], last_close=HORIZON, interval=Interval.MINUTE), interval=Interval.MINUTE, written_at=NOW
    )
    midnights = [MADE.replace(hour=0, minute=0), HORIZON.replace(hour=0, minute=0)]
    await candles.store(
        bars(["7", "14"], last_close=midnights[1], interval=Interval.DAY),
        interval=Interval.DAY,
        written_at=NOW,
    )
    by_minute = await signals.add(interval=Interval.MINUTE)
    by_day = await signals.add(interval=Interval.DAY)

    await tick(functions)

    assert (await signals.outcome(by_minute))["forward_return"] == Decimal("-0.1")
    found = await signals.outcome(by_day)
    assert (found["forward_return"], found["signal_price_at"]) == (Decimal(1), midnights[0])


async def test_tenants_see_only_their_own_outcomes(
    functions: Functions,
    signals: Signals,
    rising: None,
    other_tenant: TenantId,
    app_database: Database,
) -> None:
    others = Signals(app_database, other_tenant, signals.symbol)
    mine, foreign = await signals.add("buy"), await others.add("sell")

    await tick(functions)

    assert (await signals.outcome(mine))["hit"] is True
    assert (await others.outcome(foreign))["hit"] is False
    assert await signals.outcome(foreign) is None
    [record] = (await records(app_database, other_tenant)).values()
    assert (record.scored, record.hits) == (1, 0)


async def test_suspended_tenants_signals_are_scored_too(
    functions: Functions, new_tenant: TenantFactory, app_database: Database, candles: Candles, rising: None
) -> None:
    signals = Signals(app_database, await new_tenant(status="suspended"), candles.symbol)
    await signals.add()

    await tick(functions)

    assert await signals.statuses() == ["scored"]


async def test_unknown_schedule_is_refused_for_good(functions: Functions) -> None:
    answer = await functions.deliver("signal_scoring", functions.tick("agent-schedule-1h"))

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_schedule")
