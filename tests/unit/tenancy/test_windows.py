"""The arithmetic of rate limits: a sliding minute of two counters, and a day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.tenancy.windows import Allowance, Counts, Verdict, take

MIDNIGHT = 20_000 * 86_400.0

arrivals = st.lists(st.floats(min_value=0, max_value=20), min_size=1, max_size=80)


def ask(counts: Counts, allowance: Allowance, at: float) -> Verdict:
    return take([counts], [allowance], seconds=at)


def allowed(verdict: Verdict) -> bool:
    return verdict.refusing is None


def test_as_many_as_the_limit_pass_and_the_next_does_not() -> None:
    counts, allowance = Counts(), Allowance(key="k", per_minute=3)

    verdicts = [ask(counts, allowance, MIDNIGHT + 10) for _ in range(4)]

    assert [allowed(verdict) for verdict in verdicts] == [True, True, True, False]
    assert [verdict.standings[0].remaining for verdict in verdicts] == [2, 1, 0, 0]
    assert [verdict.standings[0].reset_seconds for verdict in verdicts[:3]] == [50, 50, 50]


def test_a_full_minute_weighs_on_the_next_by_its_share() -> None:
    counts, allowance = Counts(), Allowance(key="k", per_minute=60)
    for _ in range(60):
        assert allowed(ask(counts, allowance, MIDNIGHT + 59))

    # 60 requests a moment ago still count: half of them half a minute later.
    assert not allowed(ask(counts, allowance, MIDNIGHT + 60))
    passed = [allowed(ask(counts, allowance, MIDNIGHT + 90)) for _ in range(40)]
    assert sum(passed) == 30


@given(gaps=arrivals, limit=st.integers(1, 8))
def test_who_waits_as_long_as_told_is_let_through_and_not_before(gaps: list[float], limit: int) -> None:
    counts, allowance, at = Counts(), Allowance(key="k", per_minute=limit), MIDNIGHT
    for gap in gaps:
        at += gap
        verdict = ask(counts, allowance, at)
        if not allowed(verdict):
            wait = verdict.standings[0].reset_seconds
            assert 0 < wait <= 120
            assert not allowed(ask(counts, allowance, at + wait * 0.99 - 0.001))
            at += wait + 0.001
            assert allowed(ask(counts, allowance, at))


@given(gaps=arrivals, limit=st.integers(1, 8))
def test_no_clock_minute_holds_more_than_the_limit(gaps: list[float], limit: int) -> None:
    counts, allowance, at = Counts(), Allowance(key="k", per_minute=limit), MIDNIGHT
    passed: dict[int, int] = {}
    for gap in gaps:
        at += gap
        if allowed(ask(counts, allowance, at)):
            passed[int(at // 60)] = passed.get(int(at // 60), 0) + 1

    assert max(passed.values()) <= limit


def test_the_day_ends_at_midnight_utc() -> None:
    allowance = Allowance(key="k", per_minute=100, per_day=2, counts_days=True)
    counts = Counts()
    evening = MIDNIGHT - 3600
    for _ in range(2):
        assert allowed(ask(counts, allowance, evening))

    spent = ask(counts, allowance, evening)
    assert not allowed(spent)
    assert spent.standings[0].day_spent
    assert (spent.standings[0].reset_seconds, spent.standings[0].calls_today) == (3600, 2)
    assert allowed(ask(counts, allowance, MIDNIGHT))


def test_a_refused_request_is_taken_from_no_allowance() -> None:
    address, tenant = Counts(), Counts()
    allowances = (Allowance(key="ip", per_minute=10), Allowance(key="t", per_minute=2, counts_days=True))

    verdicts = [take([address, tenant], allowances, seconds=MIDNIGHT) for _ in range(5)]

    assert [verdict.refusing for verdict in verdicts] == [None, None, 1, 1, 1]
    assert (address.current, tenant.current, tenant.today) == (2, 2, 2)


@pytest.mark.parametrize("step_back", [1, 90, 7_200])
def test_a_clock_that_was_put_back_opens_no_new_minute(step_back: float) -> None:
    counts, allowance = Counts(), Allowance(key="k", per_minute=1)
    assert allowed(ask(counts, allowance, MIDNIGHT + 30))

    assert not allowed(ask(counts, allowance, MIDNIGHT + 30 - step_back))
