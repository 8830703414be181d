"""What the database knows of a tenant's keys."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from alphapulse.data import queries
from alphapulse.runtime.errors import Invalid, NotFound, NotPermitted
from alphapulse.runtime.work import Scope, TenantWork
from alphapulse.venues.keys import ApiKeys

if TYPE_CHECKING:
    from alphapulse.tenancy.vault.secret import VaultSecret

FOLDER = "exchanges"
PAPER = "paper"

sql = queries.load(__file__)


class CredentialsFailed(NotPermitted):
    """The exchange no longer takes the tenant's key, so nothing is traded with it."""

    code = "credentials_failed"
    title = "Credentials failed"


class SecretMissing(Invalid):
    """The row names a version that Vault does not hold."""

    code = "secret_missing"


@dataclass(frozen=True, slots=True)
class Retired:
    """A version of the secret that was rotated out, and until when it is kept."""

    version: int
    until: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key to an exchange without the key."""

    id: uuid.UUID
    exchange: str
    label: str
    key_hint: str
    version: int
    permissions: Sequence[str]
    ip_restricted: bool | None
    status: str
    failures: int
    failure: str | None
    retired: Sequence[Retired]
    checked_at: dt.datetime | None
    rotated_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of the queries beside this file."""
        fields = dict(row)
        retired = [
            Retired(r["version"], dt.datetime.fromisoformat(r["until"])) for r in fields.pop("retired")
        ]
        return cls(
            id=uuid.UUID(int=fields.pop("id").int),
            version=fields.pop("vault_version"),
            retired=retired,
            **fields,
        )

    @property
    def is_revoked(self) -> bool:
        """Whether it is being removed."""
        return self.status == "revoked"

    def kept(self, now: dt.datetime) -> list[Retired]:
        """Return the retired versions that are still kept at `now`."""
        return [retired for retired in self.retired if retired.until > now]


def retired_json(retired: Sequence[Retired]) -> list[dict[str, Any]]:
    """Return retired versions as the database holds them."""
    return [{"version": one.version, "until": one.until.isoformat()} for one in retired]


async def lock(work: TenantWork, exchange: str) -> None:
    """Wait for other changes of the tenant's key to an exchange; held until the transaction ends."""
    await sql.lock_credential(work.session, tenant_id=work.tenant_id.value, exchange=exchange)


async def load(work: TenantWork, credential_id: uuid.UUID) -> Credential:
    """Return a credential.

    Raises
    ------
    NotFound
        There is none of this tenant.
    """
    row = await sql.credential(work.session, tenant_id=work.tenant_id.value, credential_id=credential_id)
    if row is None:
        raise NotFound("there is no such credential")
    return Credential.from_row(row)


async def of_exchange(work: TenantWork, exchange: str) -> Credential | None:
    """Return the tenant's credential for an exchange, if there is one."""
    row = await sql.credential_of_exchange(work.session, tenant_id=work.tenant_id.value, exchange=exchange)
    return None if row is None else Credential.from_row(row)


async def all_of(work: TenantWork) -> list[Credential]:
    """Return the tenant's credentials, by exchange."""
    rows = sql.credentials(work.session, tenant_id=work.tenant_id.value)
    return [Credential.from_row(row) async for row in rows]


async def require_usable(work: TenantWork, exchange: str) -> None:
    """Refuse to trade with a key that has failed or is being removed.

    Raises
    ------
    CredentialsFailed
        The tenant's key to the exchange is stored and not valid.
    """
    if exchange == PAPER:
        return
    found = await of_exchange(work, exchange)
    if found is not None and found.status != "valid":
        raise CredentialsFailed(
            f"the credentials for {exchange} are {found.status}; check or replace them",
            extra={"credential_id": str(found.id), "credential_status": found.status},
        )


async def require_usable_now(scope: Scope, exchange: str) -> None:
    """Do as `require_usable` in a transaction of its own, which the paper exchange does not need.

    Raises
    ------
    CredentialsFailed
        As above.
    """
    if exchange == PAPER:
        return
    async with scope.transaction() as work:
        await require_usable(work, exchange)


async def secret_of(scope: Scope, credential: Credential) -> ApiKeys:
    """Return the key itself, in the version the row names.

    Raises
    ------
    SecretMissing
        Vault does not hold it.
    """
    vault = scope.resources.vault.tenant(scope.tenant_id)
    secret = await vault.read(FOLDER, credential.exchange, version=credential.version)
    if secret is not None and not _is_of(secret, credential):
        # Versions are counted anew after a removal: this is one of the removed key, from memory.
        vault.forget(FOLDER, credential.exchange)
        secret = await vault.read(FOLDER, credential.exchange, version=credential.version)
    if secret is None or not _is_of(secret, credential):
        raise SecretMissing(f"the secret of the {credential.exchange} credentials is not there any more")
    return ApiKeys.from_secret(secret.data)


def _is_of(secret: "VaultSecret", credential: Credential) -> bool:
    return secret.data.get("credential_id") == str(credential.id)
