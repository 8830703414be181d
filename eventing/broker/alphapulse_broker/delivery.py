"""DeliverySpec and what it says about an answer: pure, without I/O and without a clock."""

import email.utils
from datetime import UTC, datetime, timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from alphapulse_broker.durations import parse_duration

# Where a spec sets no retryAfterMax, a subscriber may still not put an event off for longer.
LONGEST_RETRY_AFTER = timedelta(hours=1)
LONGEST_BACKOFF = timedelta(hours=24)

_RETRIED_4XX = frozenset({404, 408, 409, 429})
_HONOURS_RETRY_AFTER = frozenset({429, 503})


class _Manifest(BaseModel):
    """A part of a manifest: a misspelt field is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Reference(_Manifest):
    """`ref` of a destination: an addressable object, here always a Service."""

    kind: Literal["Service"]
    name: str = Field(min_length=1)
    namespace: str | None = None
    apiVersion: str | None = None  # noqa: N815 - the manifest's own name


class Destination(_Manifest):
    """Where a delivery goes: a URL, or a reference, or a path relative to a reference."""

    ref: Reference | None = None
    uri: str | None = None

    def model_post_init(self, _context: object, /) -> None:
        """Refuse a destination that names nothing, or nothing that can be reached."""
        if self.ref is None and not self.uri:
            raise ValueError("a destination needs ref or uri")
        # Parsing finds out, the port only when it is asked for.
        _ = urlsplit(self.uri or "").port


class DeliverySpec(_Manifest):
    """`delivery` of a Broker or Trigger."""

    retry: int | None = Field(None, ge=0)
    backoffPolicy: Literal["linear", "exponential"] | None = None  # noqa: N815 - the manifest's own name
    backoffDelay: str | None = None  # noqa: N815 - the manifest's own name
    timeout: str | None = None
    retryAfterMax: str | None = None  # noqa: N815 - the manifest's own name
    deadLetterSink: Destination | None = None  # noqa: N815 - the manifest's own name
    format: Literal["binary"] | None = None

    @field_validator("backoffDelay", "timeout", "retryAfterMax")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    def over(self, broker: "DeliverySpec") -> Self:
        """Return this spec with the broker's value wherever this one says nothing."""
        mine = {name: getattr(self, name) for name in self.model_fields_set}
        theirs = {name: getattr(broker, name) for name in broker.model_fields_set}
        return type(self)(**{**theirs, **mine})

    @property
    def retries(self) -> int:
        """Attempts after the first one."""
        return self.retry or 0

    def attempt_timeout(self, default_seconds: float) -> float:
        """Return the seconds one attempt may take."""
        seconds = parse_duration(self.timeout).total_seconds() if self.timeout else 0.0
        return seconds or default_seconds

    def backoff(self, retry: int, retry_after: timedelta | None) -> timedelta:
        """Return the wait before retry number `retry` (the first is 1).

        Linear waits `backoffDelay * retry`, exponential `backoffDelay * 2 ** (retry - 1)`. A longer
        `Retry-After` wins, up to `retryAfterMax`; `PT0S` there means that it is ignored.
        """
        base = parse_duration(self.backoffDelay) if self.backoffDelay else timedelta(seconds=0.2)
        # The exponent is bounded before the power is taken: a large `retry` must not overflow.
        factor = retry if self.backoffPolicy == "linear" else 2 ** min(retry - 1, 40)
        wait = (
            LONGEST_BACKOFF
            if factor > LONGEST_BACKOFF / max(base, timedelta(microseconds=1))
            else base * factor
        )
        if retry_after is not None:
            bound = parse_duration(self.retryAfterMax) if self.retryAfterMax else LONGEST_RETRY_AFTER
            wait = max(wait, min(retry_after, bound))
        return wait


def is_retryable(status: int | None) -> bool:
    """Tell whether an attempt may be repeated; `None` is no answer at all (refused, timed out)."""
    return status is None or status >= 500 or status in _RETRIED_4XX  # noqa: PLR2004 - HTTP's own number


def parse_retry_after(status: int | None, value: str | None, *, now: datetime) -> timedelta | None:
    """Return the wait a subscriber asked for, where its answer may ask for one."""
    if status not in _HONOURS_RETRY_AFTER or not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), LONGEST_BACKOFF.total_seconds()))
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        # Numbers of any length may stand there.
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(at - now, timedelta(0))
