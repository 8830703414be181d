"""Requests and answers of `accounts`."""

import datetime as dt
import uuid
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from alphapulse.tenancy.principal import Tier

_MIN_PASSWORD, _MAX_PASSWORD = 12, 128


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be printable text")
    return text.strip()


def _password(secret: SecretStr) -> SecretStr:
    if not _MIN_PASSWORD <= len(secret.get_secret_value()) <= _MAX_PASSWORD:
        raise ValueError(f"must have {_MIN_PASSWORD} to {_MAX_PASSWORD} characters")
    return secret


# One address, no display name: what mail servers accept is for the verification mail to prove.
Email = Annotated[
    str, Field(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z]{2,63}$")
]
Text = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Password = Annotated[SecretStr, AfterValidator(_password)]
# What is compared with a hash, so it may be anything short.
SentPassword = Annotated[SecretStr, Field(max_length=_MAX_PASSWORD)]
SentCode = Annotated[SecretStr, Field(min_length=6, max_length=40)]
TenantStatus = Literal["pending", "provisioning", "active", "suspended", "cancelled", "deleted", "failed"]


class Request(BaseModel):
    """Base of requests: unknown fields are refused, so that a typing error is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignUp(Request):
    """A new tenant and its owner."""

    email: Email
    password: Password
    company: Text
    tier: Tier = Tier.STARTER


class Credentials(Request):
    """An e-mail address and a password; a code too where the second factor is on.

    With `cookie`, the tokens are put into cookies and not into the answer.
    """

    email: Annotated[str, Field(max_length=254)]
    password: SentPassword
    totp: SentCode | None = None
    cookie: bool = False


class RefreshRequest(Request):
    """A refresh token."""

    refresh_token: Annotated[str, Field(min_length=20, max_length=200)]


class LogOut(Request):
    """A refresh token, and whether to end the other logins of its user too."""

    refresh_token: Annotated[str, Field(min_length=20, max_length=200)] | None = None
    everywhere: bool = False


class DeleteTenant(Request):
    """The owner's password, so that a stolen session alone deletes nothing; a code too if logins need one."""

    password: SentPassword
    totp: SentCode | None = None


class DeletionAccepted(BaseModel):
    """Where to watch the tenant go, as long as its login lasts."""

    tenant_id: uuid.UUID
    status: TenantStatus
    status_url: str


class SignUpAccepted(BaseModel):
    """Where to watch the new tenant."""

    tenant_id: uuid.UUID
    status: TenantStatus
    status_url: str


class Tokens(BaseModel):
    """An access token and the refresh token that follows it."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the kind of token, not one
    expires_in: int
    refresh_token: str


class BrowserLogin(BaseModel):
    """A login whose tokens are in cookies; changes repeat the CSRF token in `X-CSRF-Token`."""

    token_type: Literal["Cookie"] = "Cookie"  # noqa: S105 - the kind of token, not one
    expires_in: int
    csrf_token: str


class TenantView(BaseModel):
    """A tenant; a use that cannot be told at the moment is null."""

    id: uuid.UUID
    company: str
    tier: Tier
    status: TenantStatus
    created_at: dt.datetime
    limits: dict[str, int | str | None]
    usage: dict[str, int | None]


class FailedAttempt(BaseModel):
    """An attempt at a step that failed."""

    at: dt.datetime
    milliseconds: int
    error: str


class Step(BaseModel):
    """One step of provisioning; `error` is the last one, `failures` are all of them."""

    step: str
    status: str
    attempts: int
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    milliseconds: int | None
    error: str | None
    failures: list[FailedAttempt]


class ProvisioningRun(BaseModel):
    """A run of the saga; `report` tells what was removed, once a failed one was undone."""

    id: uuid.UUID
    kind: Literal["provision", "delete"]
    status: Literal["running", "done", "compensating", "failed"]
    error: str | None
    started_at: dt.datetime
    deadline_at: dt.datetime
    finished_at: dt.datetime | None
    report: dict[str, Any] | None


class Provisioning(BaseModel):
    """State of a tenant's provisioning."""

    tenant_id: uuid.UUID
    status: TenantStatus
    reason: str | None
    run: ProvisioningRun | None
    steps: list[Step]
