"""People of tenants, who log in with passwords, and what `accounts` needs around it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from argon2 import PasswordHasher
from uuid_utils.compat import uuid7

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from functions.accounts import passwords
from tests.function.conftest import Functions
from tests.mailboxes import Mailbox
from tests.vault_for_functions import FunctionVault

PASSWORD = "correct horse battery"
DEADLINE_SECONDS = 5


@dataclass
class Person:
    """A user of a tenant, and their client of `accounts`."""

    api: httpx.AsyncClient
    tenant_id: TenantId
    user_id: str
    email: str
    role: str
    password: str = PASSWORD
    tokens: dict[str, Any] = field(default_factory=dict)

    async def try_to_log_in(self, **changes: Any) -> httpx.Response:
        """Send a login, with this person's address and password unless changed."""
        body = {"email": self.email, "password": self.password} | changes
        return await self.api.post("/auth/login", json=body)

    async def log_in(self, **changes: Any) -> "Person":
        """Log in; requests are this person's from then on."""
        answer = await self.try_to_log_in(**changes)
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()
        self.api.headers["Authorization"] = f"Bearer {self.tokens['access_token']}"
        return self

    async def refresh(self, tokens: dict[str, Any] | None = None) -> httpx.Response:
        """Use a refresh token, the last login's if none is given."""
        token = (tokens or self.tokens)["refresh_token"]
        return await self.api.post("/auth/refresh", json={"refresh_token": token})


People = Callable[..., Awaitable[Person]]


async def eventually(status: int, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask until the answer has a status: what is true of a caller is believed for up to a second."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (answer := await ask()).status_code != status:
            await asyncio.sleep(0.05)
    return answer


async def audited(database: Database, tenant_id: TenantId) -> list[str]:
    """Return what the audit log of a tenant says was done, the oldest first."""
    async with database.tenant(tenant_id) as session:
        rows = await session.fetch("SELECT action FROM audit_log ORDER BY sequence")
    return [row["action"] for row in rows]


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[PasswordHasher]:
    """Hash with little memory: what a hash costs is no subject of most tests, and there are hundreds."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: hasher)
        yield hasher


@pytest.fixture(scope="session")
def password_hash(quick_hashes: PasswordHasher) -> str:
    """The hash of `PASSWORD`, made once."""
    return quick_hashes.hash(PASSWORD)


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    """A mail server that takes everything."""
    received = Mailbox(tmp_path / "mails")
    await received.up()
    yield received
    await received.down()


@pytest.fixture
def function_settings(
    function_settings: Settings, signing_key: bytes, tmp_path: Path, mailbox: Mailbox
) -> Settings:
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(signing_key)
    return function_settings.replace(
        token_signing_key_file=key_file,
        trusted_hops=1,
        smtp_url=mailbox.smtp_url,
        mail_from=mailbox.mail_from,
        public_url="https://alphapulse.test",
    )


@pytest.fixture
def address() -> str:
    """A client's address, of this test alone."""
    # No group begins with a zero: the text is the canonical one.
    first, second = (0x1000 + secrets.randbelow(0xE000) for _ in range(2))
    return f"2001:db8:{first:x}:{second:x}::1"


@pytest.fixture
async def api(functions: Functions, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """An anonymous client of `accounts`."""
    client = functions.caller("accounts")
    client.headers["X-Forwarded-For"] = address
    yield client
    await functions.settle()


@pytest.fixture
async def people(
    functions: Functions, database: DatabaseUrls, address: str, password_hash: str
) -> AsyncIterator[People]:
    """`await people(tenant, "viewer")`: a user who has not logged in yet."""

    async def add(tenant_id: TenantId, role: str = "owner") -> Person:
        user_id, email = uuid7(), f"{role}-{secrets.token_hex(8)}@example.com"
        connection = await asyncpg.connect(database.platform)
        try:
            await connection.execute(
                "INSERT INTO users (tenant_id, id, email, password_hash, role) VALUES ($1, $2, $3, $4, $5)",
                tenant_id.value,
                user_id,
                email,
                password_hash,
                role,
            )
        finally:
            await connection.close()
        client = functions.caller("accounts")
        client.headers["X-Forwarded-For"] = address
        return Person(client, tenant_id, str(user_id), email, role)

    yield add
    await functions.settle()


@pytest.fixture
async def owner(people: People, tenant: TenantId) -> Person:
    """An owner who has logged in."""
    return await (await people(tenant)).log_in()


@pytest.fixture
async def stranger(people: People, other_tenant: TenantId) -> Person:
    """An owner of another tenant, logged in."""
    return await (await people(other_tenant)).log_in()


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionVault]:
    """A store of secrets in which `accounts` has its login."""
    directory = tmp_path_factory.mktemp("secret-store")
    store = EmbeddedSecretStore(directory / "data")
    store.start()
    prepared = FunctionVault(store, directory)
    prepared.set_up()
    policies = {"token_policies": ["accounts", "function"]}
    policy = Path("knative/platform/vault/policies/accounts.hcl").read_text()
    prepared.send("PUT", "sys/policies/acl/accounts", {"policy": policy})
    prepared.send("POST", "auth/approle/role/accounts", policies)
    role_id = prepared.send("GET", "auth/approle/role/accounts/role-id")["data"]["role_id"]
    secret_id = prepared.send("POST", "auth/approle/role/accounts/secret-id", {})["data"]["secret_id"]
    prepared.role_id_file.write_text(role_id)
    prepared.secret_id_file.write_text(secret_id)
    yield prepared
    store.stop()


@pytest.fixture
def settings_with_vault(function_settings: Settings, vault: FunctionVault) -> Settings:
    """Settings of `accounts` where there is a Vault."""
    return function_settings.replace(
        vault_addr=vault.store.url,
        vault_role_id_file=vault.role_id_file,
        vault_secret_id_file=vault.secret_id_file,
    )


@pytest.fixture
def issue_key() -> Callable[..., Awaitable[dict[str, Any]]]:
    """`await issue_key(person, scopes=["read"])`: an API key, as its creation was answered."""

    async def issue(person: Person, **body: Any) -> dict[str, Any]:
        answer = await person.api.post("/auth/api-keys", json={"name": "a key"} | body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    return issue
