"""Requests and answers of `accounts`."""

import datetime as dt
import uuid
from typing import Annotated, Literal

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
    """An e-mail address and a password."""

    email: Annotated[str, Field(max_length=254)]
    password: Annotated[SecretStr, Field(max_length=_MAX_PASSWORD)]


class RefreshRequest(Request):
    """A refresh token."""

    refresh_token: Annotated[str, Field(min_length=20, max_length=200)]


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


class TenantView(BaseModel):
    """A tenant."""

    id: uuid.UUID
    company: str
    tier: Tier
    status: TenantStatus
    created_at: dt.datetime
    limits: dict[str, int | str | None]
    usage: dict[str, int]


class Step(BaseModel):
    """One step of provisioning."""

    step: str
    status: str
    attempts: int
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    error: str | None


class Provisioning(BaseModel):
    """State of a tenant's provisioning."""

    tenant_id: uuid.UUID
    status: TenantStatus
    steps: list[Step]
