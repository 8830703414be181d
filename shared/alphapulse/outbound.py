"""HTTP to services outside the platform: how a client is opened, and when it may ask again."""

import datetime as dt
import email.utils
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_USER_AGENT = "alphapulse"
_LONGEST_NUMBER = 9


def open_client(
    base_url: str,
    *,
    timeout_seconds: float,
    connect_timeout_seconds: float,
    headers: Mapping[str, str] | None = None,
) -> "httpx.AsyncClient":
    """Return a client of one service, which follows no redirect by itself.

    Parameters
    ----------
    base_url
        Scheme and host, by which alone is decided whether a proxy may be on the way.
    timeout_seconds
        For each read and write.
    connect_timeout_seconds
        For a connection.
    headers
        Sent with every request; may hold a key.
    """
    import httpx  # noqa: PLC0415 - 70 ms that only a process which asks such a service pays

    return httpx.AsyncClient(
        timeout=httpx.Timeout(timeout_seconds, connect=connect_timeout_seconds),
        follow_redirects=False,  # what is sent, a key or a signature, is for this host
        # The way out may be a proxy; to a test system on this machine there is none.
        trust_env=base_url.startswith("https:"),
        headers={"User-Agent": _USER_AGENT, **(headers or {})},
    )


def retry_after(text: str, *, now: dt.datetime) -> int | None:
    """Return the seconds a `Retry-After` header asks to wait, rounded up; None when it says nothing.

    Parameters
    ----------
    text
        Seconds, or an HTTP date.
    now
        Aware, UTC.
    """
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER:
        return int(text)
    moment = http_date(text)
    if moment is None:
        return None
    return max(0, -((now - moment) // dt.timedelta(seconds=1)))


def http_date(text: str) -> dt.datetime | None:
    """Return what a `Date` header says; None when that is no date."""
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None  # no date, or none of the calendar's
