"""Real servers for tests, each started once per test process and only when a test asks for it.

Tests of one process share a database; they keep out of each other's way by tenants of their own.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from alphapulse.data import migrate
from alphapulse.data.bootstrap import DatabaseUrls, RolePasswords, create_database
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.embedded.redis import EmbeddedRedis
from alphapulse_local.embedded.stripe_simulator import EmbeddedStripe
from tests.logins import insert_logins
from tests.mailboxes import Mailbox

TenantFactory = Callable[..., Awaitable[TenantId]]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server without databases of ours."""
    server = EmbeddedPostgres(
        tmp_path_factory.mktemp("postgres"), password=secrets.token_urlsafe(16), durable=False
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def signing_key() -> bytes:
    """A P-256 private key as PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="session")
def role_passwords() -> RolePasswords:
    """Passwords of the four roles, which all databases of the server share."""
    return RolePasswords.random()


@pytest.fixture(scope="session")
def database_template(postgres: EmbeddedPostgres, role_passwords: RolePasswords) -> str:
    """Name of a migrated database that nobody connects to, to make copies of."""

    async def prepare() -> None:
        urls = await create_database(postgres.url(), database="template_alphapulse", passwords=role_passwords)
        await migrate.upgrade(urls.owner)

    asyncio.run(prepare())
    return "template_alphapulse"


@pytest.fixture(scope="session")
def database(
    postgres: EmbeddedPostgres, database_template: str, role_passwords: RolePasswords
) -> DatabaseUrls:
    """URLs of a migrated database that all tests of this process share."""
    return asyncio.run(_copy(postgres, database_template, "alphapulse", role_passwords))


@pytest.fixture
async def empty_database(
    postgres: EmbeddedPostgres, database_template: str, role_passwords: RolePasswords
) -> AsyncIterator[DatabaseUrls]:
    """URLs of a migrated database of this test alone (about 50 ms)."""
    name = f"test_{secrets.token_hex(8)}"
    yield await _copy(postgres, database_template, name, role_passwords)
    await _as_admin(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A Redis server; tests use keys of their own tenants."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), password=secrets.token_urlsafe(16))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def simulated_stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStripe]:
    """The simulation of Stripe; tests use tenants of their own."""
    server = EmbeddedStripe(tmp_path_factory.mktemp("stripe"), api_key="sk_test_" + secrets.token_urlsafe(16))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    """An SMTP server of this test alone, and the mails it was sent."""
    server = Mailbox(tmp_path / "mailbox")
    await server.up()
    yield server
    await server.down()


@pytest.fixture
async def app_database(database: DatabaseUrls) -> AsyncIterator[Database]:
    """The database as functions see it."""
    opened = Database(database.app, application_name="test")
    yield opened
    await opened.close()


@pytest.fixture
async def platform_database(database: DatabaseUrls) -> AsyncIterator[PlatformDatabase]:
    """The database as the platform sees it."""
    opened = PlatformDatabase(database.platform, application_name="test-platform")
    yield opened
    await opened.close()


@pytest.fixture
async def new_tenant(database: DatabaseUrls) -> TenantFactory:
    """Insert an active tenant with the defaults of a new account: `await new_tenant(tier="pro")`.

    It gets limits, settings, a portfolio, 100,000 USD on the paper exchange, and one user per role, each
    with a login: `tests.logins` says which.
    """

    async def create(*, tier: str = "starter", status: str = "active", usd: str = "100000") -> TenantId:
        tenant_id = TenantId.new()
        connection = await asyncpg.connect(database.platform)
        try:
            async with connection.transaction():
                await _insert_tenant(connection, tenant_id, tier=tier, status=status, usd=usd)
        finally:
            await connection.close()
        return tenant_id

    return create


@pytest.fixture
async def tenant(new_tenant: TenantFactory) -> TenantId:
    """A fresh active tenant."""
    return await new_tenant()


@pytest.fixture
async def other_tenant(new_tenant: TenantFactory) -> TenantId:
    """Another fresh active tenant."""
    return await new_tenant()


async def _insert_tenant(
    connection: asyncpg.Connection, tenant_id: TenantId, *, tier: str, status: str, usd: str
) -> None:
    # Formatted from a UUID object; SET takes no parameters.
    await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant_id}'")
    for statement, *args in (
        (
            "INSERT INTO tenants (id, company, tier, status, activated_at) VALUES ($1, $2, $3, $4, now())",
            f"Company {tenant_id}",
            tier,
            status,
        ),
        ("INSERT INTO tenant_configs (tenant_id) VALUES ($1)",),
        ("INSERT INTO risk_limits (tenant_id) VALUES ($1)",),
        (
            """INSERT INTO portfolios (tenant_id, starting_equity, peak_equity, day_start_equity)
            VALUES ($1, $2::text::numeric, $2::text::numeric, $2::text::numeric)""",
            usd,
        ),
        (
            """INSERT INTO balances (tenant_id, exchange, currency, amount)
            VALUES ($1, 'paper', 'USD', $2::text::numeric)""",
            usd,
        ),
    ):
        await connection.execute(statement, tenant_id.value, *args)
    await insert_logins(connection, tenant_id)


async def _copy(
    postgres: EmbeddedPostgres, template: str, name: str, role_passwords: RolePasswords
) -> DatabaseUrls:
    await _as_admin(postgres, f"CREATE DATABASE {name} TEMPLATE {template} OWNER alphapulse_owner")
    return await create_database(postgres.url(), database=name, passwords=role_passwords)


async def _as_admin(postgres: EmbeddedPostgres, command: str) -> None:
    connection = await asyncpg.connect(postgres.url())
    try:
        await connection.execute(command)
    finally:
        await connection.close()
