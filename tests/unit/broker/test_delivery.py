"""Checklist points 9 and 10: what is retried, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from alphapulse_broker.delivery import (
    LONGEST_BACKOFF,
    LONGEST_RETRY_AFTER,
    DeliverySpec,
    Destination,
    is_retryable,
    parse_retry_after,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


@pytest.mark.parametrize("status", [None, 404, 408, 409, 429, 500, 502, 503, 504, 599])
def test_9_transient_answers_are_retried(status: int | None) -> None:
    assert is_retryable(status)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 405, 410, 413, 422])
def test_9_redirects_and_other_refusals_are_not_retried(status: int) -> None:
    assert not is_retryable(status)


def test_10_exponential_backoff_doubles_from_the_first_retry() -> None:
    spec = DeliverySpec(backoffPolicy="exponential", backoffDelay="PT0.2S")

    assert [seconds(0.2), seconds(0.4), seconds(0.8)] == [spec.backoff(n, None) for n in (1, 2, 3)]


def test_10_linear_backoff_grows_by_one_delay_each_time() -> None:
    spec = DeliverySpec(backoffPolicy="linear", backoffDelay="PT2S")

    assert [seconds(2), seconds(4), seconds(6)] == [spec.backoff(n, None) for n in (1, 2, 3)]


def test_10_backoff_is_bounded_however_many_retries_there_are() -> None:
    spec = DeliverySpec(backoffPolicy="exponential", backoffDelay="P1D")

    assert spec.backoff(2_000_000_000, None) == LONGEST_BACKOFF


def test_10_longer_retry_after_wins_up_to_its_maximum() -> None:
    spec = DeliverySpec(backoffDelay="PT1S", retryAfterMax="PT10S")

    assert seconds(5) == spec.backoff(1, seconds(5))
    assert seconds(10) == spec.backoff(1, seconds(60))
    assert seconds(4) == spec.backoff(3, seconds(2))


def test_10_retry_after_maximum_of_zero_ignores_it_and_none_bounds_it_at_an_hour() -> None:
    assert seconds(1) == DeliverySpec(backoffDelay="PT1S", retryAfterMax="PT0S").backoff(1, seconds(60))
    assert DeliverySpec(backoffDelay="PT1S").backoff(1, timedelta(days=1)) == LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (503, "7", seconds(7)),
        (429, " 7 ", seconds(7)),
        (503, "Fri, 02 Jan 2026 03:04:35 GMT", seconds(30)),
        (503, "Fri, 02 Jan 2026 03:00:00 GMT", seconds(0)),
        (503, "soon", None),
        (503, "-1", None),
        (503, "٣", None),
        (503, None, None),
        (500, "7", None),
        (None, "7", None),
    ],
)
def test_10_retry_after_is_read_on_429_and_503(
    status: int | None, value: str | None, expected: timedelta | None
) -> None:
    assert expected == parse_retry_after(status, value, now=NOW)


def test_10_trigger_overrides_the_broker_field_by_field() -> None:
    sink = Destination.model_validate({"uri": "http://letters/"})
    broker = DeliverySpec(retry=5, backoffDelay="PT1S", deadLetterSink=sink)

    merged = DeliverySpec(retry=0).over(broker)

    assert DeliverySpec(retry=0, backoffDelay="PT1S", deadLetterSink=sink) == merged


def test_10_attempt_takes_the_default_time_when_the_spec_names_none() -> None:
    assert DeliverySpec(timeout="PT3S").attempt_timeout(60) == 3
    assert DeliverySpec().attempt_timeout(60) == 60
    assert DeliverySpec(timeout="PT0S").attempt_timeout(60) == 60


@pytest.mark.parametrize(
    "content",
    [
        {"retry": -1},
        {"backoffPolicy": "random"},
        {"backoffDelay": "5s"},
        {"retries": 3},
        {"deadLetterSink": {}},
    ],
)
def test_10_malformed_spec_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DeliverySpec.model_validate(content)


@pytest.mark.parametrize(
    "value",
    [
        "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT",
        "Mon, 05 Jan 2026 00:00:00 +99999999999999999999",
        "Mon, 05 Jan 99999 00:00:00 GMT",
    ],
)
def test_10_retry_after_with_impossible_numbers_counts_for_nothing(value: str) -> None:
    assert parse_retry_after(503, value, now=NOW) is None
