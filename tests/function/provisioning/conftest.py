"""The saga in process, on real PostgreSQL, Redis, the development store of secrets and simulated Stripe.

Each store is reached through a proxy of the test's own, so that it can be away without being stopped.
"""

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis.asyncio as redis
from argon2 import PasswordHasher
from hvac.adapters import JSONAdapter

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.events import Event
from alphapulse.provisioning import runs
from alphapulse.provisioning.steps import DEADLINES, REQUESTED
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.runtime.trace import continue_trace
from alphapulse.runtime.work import Scope
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse.tenancy.vault import bootstrap
from alphapulse.tenancy.vault.configuration import APPROLE, entries
from alphapulse.tenancy.vault.transport import VaultServer, blocking
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.embedded.redis import EmbeddedRedis
from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from alphapulse_local.embedded.stripe_simulator import EmbeddedStripe
from tests.function.conftest import Broker, Clock, Functions
from tests.function.provisioning.courier import Courier
from tests.function.provisioning.inspection import Stores
from tests.logins import insert_logins
from tests.processes import ROOT
from tests.tcp_proxy import TcpProxy

#: All functions of a test share one login: it may do what provision-verify and provision-compensate may.
LOGS_IN = "all-of-provisioning"


@pytest.fixture(scope="session")
def secret_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedSecretStore]:
    """The development store, with the policies and roles of the platform."""
    server = EmbeddedSecretStore(tmp_path_factory.mktemp("vault"))
    server.start()
    wanted = entries(ROOT / "knative/platform/vault", methods=[APPROLE])

    def prepare(adapter: JSONAdapter) -> None:
        bootstrap.apply(adapter, wanted)
        policies = {"token_policies": ["function", "provisioner"], "token_no_default_policy": True}
        adapter.post(f"/v1/auth/approle/role/{LOGS_IN}", json=policies)
        bootstrap.write_credentials(adapter, [LOGS_IN], server.directory / "logins")

    blocking(VaultServer(server.url), server.root_token, prepare, what="bootstrap")
    yield server
    server.stop()


@pytest.fixture
async def proxies(
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    secret_store: EmbeddedSecretStore,
    simulated_stripe: EmbeddedStripe,
) -> AsyncIterator[dict[str, TcpProxy]]:
    """By store: what stands between it and the functions."""
    ports = {
        "postgres": urlsplit(database.app).port,
        "redis": redis_server.port,
        "vault": secret_store.port,
        "stripe": simulated_stripe.port,
    }
    standing = {name: TcpProxy(port) for name, port in ports.items() if port is not None}
    for proxy in standing.values():
        await proxy.up()
    yield standing
    for proxy in standing.values():
        await proxy.down()


@pytest.fixture
def function_settings(  # noqa: PLR0917 - fixtures are arguments
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    secret_store: EmbeddedSecretStore,
    simulated_stripe: EmbeddedStripe,
    proxies: dict[str, TcpProxy],
    broker: Broker,
    signing_key: bytes,
    tmp_path: Path,
) -> Settings:
    """All four stores behind their proxies."""
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(signing_key)
    logins = secret_store.directory / "logins" / f"vault-{LOGS_IN}"
    return Settings(
        database_url=Secret(proxies["postgres"].before(database.app)),
        platform_database_url=Secret(proxies["postgres"].before(database.platform)),
        redis_url=Secret(proxies["redis"].before(redis_server.url)),
        broker_url=broker.url,
        token_signing_key_file=key_file,
        vault_addr=proxies["vault"].before(secret_store.url),
        vault_role_id_file=logins / bootstrap.ROLE_ID,
        vault_secret_id_file=logins / bootstrap.SECRET_ID,
        stripe_api_key=Secret(simulated_stripe.api_key),
        stripe_api_base=proxies["stripe"].before(simulated_stripe.url),
        ip_requests_per_minute=1_000_000,
    )


@pytest.fixture
def stores(
    postgres: EmbeddedPostgres,
    database: DatabaseUrls,
    redis_server: EmbeddedRedis,
    secret_store: EmbeddedSecretStore,
    simulated_stripe: EmbeddedStripe,
) -> Stores:
    """What the stores hold, looked up past the proxies and past the product."""
    return Stores(
        postgres=urlunsplit(urlsplit(postgres.url())._replace(path=urlsplit(database.app).path)),
        redis=redis_server.url,
        vault=secret_store.url,
        vault_token=secret_store.root_token,
        stripe=simulated_stripe.url,
        stripe_key=simulated_stripe.api_key,
    )


@pytest.fixture
async def accounts(
    function_settings: Settings, signer: TokenSigner, clock: Clock
) -> AsyncIterator[Functions]:
    """`accounts`, which signs with the tests' key; the steps' login to Vault opens no signing key."""
    built = Functions(function_settings.replace(vault_addr=None), signer, clock)
    yield built
    await built.close()


@pytest.fixture
def courier(functions: Functions) -> Courier:
    """Delivers events as the broker does."""
    return Courier(functions)


PASSWORD = "correct horse battery"


@cache
def _password_hash() -> str:
    return PasswordHasher().hash(PASSWORD)


class SignUps:
    """Registers tenants as sign-up does, and tells what has become of them."""

    def __init__(self, functions: Functions, database: DatabaseUrls) -> None:
        self._functions = functions
        self._database = database

    async def new(self, tier: Tier = Tier.PRO) -> tuple[TenantId, Event]:
        """Return a pending tenant and the event that starts its saga."""
        tenant_id = TenantId.new()
        await self._execute(
            tenant_id,
            """INSERT INTO tenants (id, company, tier, trial_ends_at)
            VALUES ($1, 'Acme', $2, now() + interval '14 days')""",
            tier.value,
            logins=True,
        )
        await self._execute(
            tenant_id, "UPDATE users SET password_hash = $2 WHERE tenant_id = $1", _password_hash()
        )
        return tenant_id, await self.another_run(tenant_id, tier)

    async def another_run(self, tenant_id: TenantId, tier: Tier = Tier.PRO) -> Event:
        """Begin a run and return the event that starts it."""
        resources = self._functions.resources("provision_database")
        scope = Scope(resources=resources, tenant_id=tenant_id, trace=continue_trace(None))
        async with scope.platform_transaction() as work:
            run_id = await runs.create(work, kind="provision", deadline=DEADLINES[tier])
            data = {"tenant_id": str(tenant_id), "run_id": str(run_id), "tier": tier.value}
            return scope.event(
                REQUESTED, data | {"requested_at": work.now.isoformat()}, correlation_id=str(run_id)
            )

    async def status(self, tenant_id: TenantId) -> str:
        """Return the tenant's state."""
        found = await self.fetch(tenant_id, "SELECT status FROM tenants WHERE id = $1")
        return str(found[0]["status"])

    async def steps(self, tenant_id: TenantId) -> dict[str, asyncpg.Record]:
        """Return the steps of the latest run."""
        rows = await self.fetch(
            tenant_id,
            """SELECT * FROM provisioning_steps WHERE tenant_id = $1 AND run_id = (
                SELECT id FROM provisioning_runs WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1)
            ORDER BY id""",
        )
        return {row["step"]: row for row in rows}

    async def run(self, tenant_id: TenantId) -> asyncpg.Record:
        """Return the latest run."""
        query = "SELECT * FROM provisioning_runs WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1"
        (row,) = await self.fetch(tenant_id, query)
        return row

    async def age(self, tenant_id: TenantId, by: dt.timedelta) -> None:
        """Make the latest run look older: its signs of life, its deadline and its recheck."""
        await self._execute(
            tenant_id,
            """UPDATE provisioning_runs SET updated_at = updated_at - $2::interval,
                deadline_at = deadline_at - $2::interval, recheck_at = recheck_at - $2::interval
            WHERE tenant_id = $1""",
            by,
        )

    async def fetch(self, tenant_id: TenantId, query: str) -> list[asyncpg.Record]:
        """Return the rows of a query with the tenant's id as its one parameter."""
        connection = await asyncpg.connect(self._database.platform)
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant_id}'")
                rows: list[asyncpg.Record] = await connection.fetch(query, tenant_id.value)
        finally:
            await connection.close()
        return rows

    async def execute(self, tenant_id: TenantId, statement: str, *arguments: object) -> None:
        """Run a statement as the platform for the tenant, whose id is its first parameter."""
        await self._execute(tenant_id, statement, *arguments)

    async def _execute(
        self, tenant_id: TenantId, statement: str, *arguments: object, logins: bool = False
    ) -> None:
        connection = await asyncpg.connect(self._database.platform)
        try:
            async with connection.transaction():
                # Formatted from a UUID object; SET takes no parameters.
                await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant_id}'")
                await connection.execute(statement, tenant_id.value, *arguments)
                if logins:
                    await insert_logins(connection, tenant_id)
        finally:
            await connection.close()


@pytest.fixture
def sign_ups(functions: Functions, database: DatabaseUrls) -> SignUps:
    """Pending tenants, and what became of them."""
    return SignUps(functions, database)


@pytest.fixture
async def active(sign_ups: SignUps, courier: Courier) -> TenantId:
    """An active tenant."""
    tenant, event = await sign_ups.new()
    await courier.carry(event)
    return tenant


@pytest.fixture
async def lived_in(active: TenantId, functions: Functions, stores: Stores) -> TenantId:
    """An active tenant with trades, a secret, and values in the cache."""
    resources = functions.resources("provision_verify")
    async with resources.database.tenant(active) as session:
        await session.execute(
            """INSERT INTO trades
                (tenant_id, id, client_order_id, exchange, symbol, side, type, quantity)
            SELECT $1, gen_random_uuid(), 'order-' || number, 'paper', 'BTC-USD', 'buy', 'market',
                0.123456789012345678
            FROM generate_series(1, 2500) AS number""",
            active.value,
        )
        await session.execute(
            """INSERT INTO trade_executions
                (tenant_id, id, trade_id, execution_id, quantity, price, executed_at)
            SELECT tenant_id, gen_random_uuid(), id, 'fill', quantity, 100, now() FROM trades
            WHERE tenant_id = $1""",
            active.value,
        )
    await resources.vault.tenant(active).write("exchanges", "kraken", data={"api_secret": "deep-secret"})
    await resources.cache.tenant(active).put("portfolio", value={"equity": "1"}, ttl_seconds=600)
    client = redis.Redis.from_url(stores.redis)
    await client.set(f"tenant:{{{active}}}:forgotten", "not in any account")
    await client.aclose()
    return active
