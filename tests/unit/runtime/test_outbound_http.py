"""When a service may be asked again, as its headers say."""

import datetime as dt

import pytest

from alphapulse.outbound import http_date, open_client, retry_after

NOW = dt.datetime(2026, 6, 15, 12, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("17", 17),
        ("Mon, 15 Jun 2026 12:30:09 GMT", 9),
        ("Mon, 15 Jun 2026 12:00:00 GMT", 0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("9" * 5_000, None),
    ],
)
def test_a_time_to_wait_is_read_from_seconds_or_a_date(text: str, seconds: int | None) -> None:
    assert retry_after(text, now=NOW) == seconds


def test_a_part_of_a_second_counts_as_a_whole_one() -> None:
    now = NOW - dt.timedelta(milliseconds=1)

    assert retry_after("Mon, 15 Jun 2026 12:30:01 GMT", now=now) == 2


def test_a_date_is_aware_and_something_else_is_none() -> None:
    assert http_date("Mon, 15 Jun 2026 12:30:00 GMT") == NOW
    assert http_date("yesterday") is None


async def test_a_client_follows_no_redirect_and_says_who_asks() -> None:
    client = open_client(
        "http://127.0.0.1", timeout_seconds=3, connect_timeout_seconds=1, headers={"x-key": "k"}
    )

    assert not client.follow_redirects
    assert client.headers["user-agent"] == "alphapulse"
    assert client.headers["x-key"] == "k"
    assert (client.timeout.read, client.timeout.connect) == (3, 1)
    await client.aclose()
