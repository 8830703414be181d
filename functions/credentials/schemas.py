"""Requests and answers of `credentials`; no answer has a field for a secret."""

import datetime as dt
import uuid
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from alphapulse.trading.credentials.records import Credential
from alphapulse.venues.keys import ApiKeys

_MAX_KEY, _MAX_SECRET, _MAX_PASSPHRASE = 300, 8192, 256
_HINT_CHARACTERS = 4
# Of a shorter one the hint would be too much.
_MIN_KEY = 8


def _key(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not _MIN_KEY <= len(text) <= _MAX_KEY or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"must have {_MIN_KEY} to {_MAX_KEY} printable characters without spaces")
    return SecretStr(text)


def _secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not 1 <= len(text) <= _MAX_SECRET or not text.isascii():
        raise ValueError(f"must have 1 to {_MAX_SECRET} ASCII characters")
    return SecretStr(text)


def _label(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable text")
    return text.strip()


Exchange = Literal["binance", "coinbase", "kraken"]
Status = Literal["unchecked", "valid", "failed", "revoked"]
ApiKey = Annotated[SecretStr, AfterValidator(_key)]
ApiSecret = Annotated[SecretStr, AfterValidator(_secret)]
Passphrase = Annotated[SecretStr, Field(min_length=1, max_length=_MAX_PASSPHRASE)]
Label = Annotated[str, Field(max_length=100), AfterValidator(_label)]


class NewKeys(BaseModel):
    """A key with its secret; unknown fields are refused, so that a typing error is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: ApiKey
    api_secret: ApiSecret
    passphrase: Passphrase | None = None
    label: Label | None = None

    @property
    def keys(self) -> ApiKeys:
        """The key as the venues take it."""
        passphrase = None if self.passphrase is None else self.passphrase.get_secret_value()
        return ApiKeys(self.api_key.get_secret_value(), self.api_secret.get_secret_value(), passphrase)

    @property
    def hint(self) -> str:
        """The end of the key, by which its owner knows it again."""
        return self.api_key.get_secret_value()[-_HINT_CHARACTERS:]


class NewCredential(NewKeys):
    """Keys to an exchange that is to be traded on."""

    exchange: Exchange


class CredentialView(BaseModel):
    """What is known of a key."""

    id: uuid.UUID
    exchange: Exchange
    label: str
    key_hint: str
    permissions: list[str]
    ip_restricted: bool | None
    status: Status
    failures: int
    failure: str | None
    version: int
    grace_ends_at: dt.datetime | None
    checked_at: dt.datetime | None
    rotated_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime

    @classmethod
    def of(cls, credential: Credential, *, now: dt.datetime) -> Self:
        """Return the view of a credential; `grace_ends_at` is when no retired key is kept any more."""
        return cls.model_validate(
            {
                "id": credential.id,
                "grace_ends_at": max((kept.until for kept in credential.kept(now)), default=None),
                **{
                    name: getattr(credential, name)
                    for name in cls.model_fields
                    if name not in ("id", "grace_ends_at")
                },
            }
        )


class CredentialList(BaseModel):
    """A tenant's credentials: at most one for each exchange."""

    items: list[CredentialView]
    next_cursor: None = None
