"""Errors a function answers with.

    FunctionError
    +-- Permanent                the same request will fail again
    |   +-- Invalid              422
    |   +-- NotAuthenticated     401
    |   +-- NotPermitted         403
    |   +-- NotFound             404 (also for what belongs to another tenant)
    |   +-- Conflict             409
    |   +-- QuotaExceeded        402
    |   +-- BodyTooLarge         413
    |   `-- UnsupportedMedia     415
    `-- Transient                try again later
        +-- RateLimited          429
        +-- ExchangeFailed       502
        `-- DependencyDown       503

A function's own errors derive from these. HTTP functions answer them as problem+json with the
status above; event functions answer a Permanent one 422 (dead letter) and a Transient one 503
with Retry-After (the broker tries again).
"""

from collections.abc import Mapping, Sequence
from typing import Any


class FunctionError(Exception):
    """Base of all errors with an answer of their own.

    Parameters
    ----------
    detail
        What is wrong and what was found; shown to the caller, so it never holds a secret.
    code
        Stable snake_case code; the class's default when not given.
    extra
        Further members of the problem document (`limit`, `value`, `bound`, ...).
    errors
        Validation errors, each `{"loc": [...], "msg": "..."}`.
    """

    status = 500
    code = "internal_error"
    title = "Internal error"
    retry_after_seconds: int | None = None

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        extra: Mapping[str, Any] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.extra = dict(extra or {})
        self.errors = list(errors)


class Permanent(FunctionError):
    """The same request will fail again."""

    status = 422


class Invalid(Permanent):
    """The request is understood and not acceptable."""

    code = "invalid"
    title = "Invalid request"


class NotAuthenticated(Permanent):
    """No token, or one that does not hold."""

    status = 401
    code = "not_authenticated"
    title = "Not authenticated"


class NotPermitted(Permanent):
    """The caller is known and may not do this."""

    status = 403
    code = "not_permitted"
    title = "Not permitted"


class NotFound(Permanent):
    """There is no such thing, or it is another tenant's."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(Permanent):
    """The state of the thing does not allow it."""

    status = 409
    code = "conflict"
    title = "Conflict"


class QuotaExceeded(Permanent):
    """The tier's quota is used up."""

    status = 402
    code = "quota_exceeded"
    title = "Quota exceeded"


class BodyTooLarge(Permanent):
    """The request body is over the limit."""

    status = 413
    code = "body_too_large"
    title = "Body too large"


class UnsupportedMedia(Permanent):
    """The request body is not JSON."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class Transient(FunctionError):
    """It may work later."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        extra: Mapping[str, Any] | None = None,
        retry_after_seconds: int = 1,
    ) -> None:
        super().__init__(detail, code=code, extra=extra)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Transient):
    """Too many requests."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"


class ExchangeFailed(Transient):
    """The exchange answered with an error or not at all."""

    status = 502
    code = "exchange_error"
    title = "Exchange error"


class DependencyDown(Transient):
    """A dependency of this function does not answer."""

    code = "dependency_down"
    title = "Dependency down"
