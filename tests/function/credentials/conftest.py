"""The credential functions on a real store of secrets and simulated exchanges."""

import base64
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.tenant import TenantId
from tests.conftest import TenantFactory
from tests.exchange_simulators.binance import BinanceSimulator
from tests.exchange_simulators.binance import Key as BinanceKey
from tests.exchange_simulators.coinbase import CoinbaseSimulator
from tests.exchange_simulators.kraken import Key as KrakenKey
from tests.exchange_simulators.kraken import KrakenSimulator
from tests.function.conftest import Clock, Functions
from tests.tcp_proxy import TcpProxy
from tests.vault_for_functions import FunctionVault, running_vault


class Venues:
    """The simulated exchanges, and keys they issue."""

    def __init__(self) -> None:
        self.binance = BinanceSimulator()
        self.coinbase = CoinbaseSimulator()
        self.kraken = KrakenSimulator()

    def binance_key(self, **permissions: bool) -> dict[str, Any]:
        """Issue a key and return the body that stores it."""
        api_key, secret = secrets.token_hex(16), secrets.token_urlsafe(32)
        self.binance.keys[api_key] = BinanceKey(secret, **permissions)
        return {"exchange": "binance", "api_key": api_key, "api_secret": secret}

    def kraken_key(self) -> dict[str, Any]:
        """Issue a key and return the body that stores it."""
        api_key, secret = secrets.token_hex(16), base64.b64encode(secrets.token_bytes(32)).decode()
        self.kraken.keys[api_key] = KrakenKey(secret)
        return {"exchange": "kraken", "api_key": api_key, "api_secret": secret}


@pytest.fixture
async def venues() -> AsyncIterator[Venues]:
    """The exchanges that the functions under test reach."""
    simulated = Venues()
    running = (simulated.binance, simulated.coinbase, simulated.kraken)
    for simulator in running:
        await simulator.start()
    yield simulated
    for simulator in running:
        await simulator.stop()


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionVault]:
    """A store of secrets that all tests of this process share."""
    with running_vault(tmp_path_factory.mktemp("secret-store")) as running:
        yield running


@pytest.fixture
async def way_to_vault(vault: FunctionVault) -> AsyncIterator[TcpProxy]:
    """The functions' way to the store of secrets, which tests can cut."""
    proxy = TcpProxy(vault.store.port)
    await proxy.up()
    yield proxy
    await proxy.down()


@pytest.fixture
def function_settings(
    function_settings: Settings, vault: FunctionVault, way_to_vault: TcpProxy, venues: Venues
) -> Settings:
    return function_settings.replace(
        vault_addr=f"http://127.0.0.1:{way_to_vault.port}",
        vault_role_id_file=vault.role_id_file,
        vault_secret_id_file=vault.secret_id_file,
        binance_url=venues.binance.url,
        coinbase_url=venues.coinbase.url,
        kraken_url=venues.kraken.url,
    )


@pytest.fixture
async def tenant(new_tenant: TenantFactory, vault: FunctionVault) -> TenantId:
    """A fresh active tenant that may use the store of secrets."""
    created = await new_tenant()
    vault.admit(created)
    return created


@pytest.fixture
async def other_tenant(new_tenant: TenantFactory, vault: FunctionVault) -> TenantId:
    """Another one."""
    created = await new_tenant()
    vault.admit(created)
    return created


async def credential_rows(database: Database, tenant: TenantId) -> list[dict[str, Any]]:
    """Return what the database holds of a tenant's credentials."""
    async with database.tenant(tenant) as session:
        rows = await session.fetch("SELECT * FROM tenant_credentials ORDER BY exchange")
    return [dict(row) for row in rows]


def secret_of(body: dict[str, Any]) -> dict[str, str]:
    """Return what Vault is to hold for the body of a request."""
    return {name: body[name] for name in ("api_key", "api_secret")} | {"permissions": "read,trade"}


async def stored(functions: Functions, tenant: TenantId, body: dict[str, Any]) -> str:
    """Store a key and return the credential's id."""
    answer = await functions.caller("credentials", tenant).post("/credentials", json=body)
    assert answer.status_code == 201, answer.text
    credential_id: str = answer.json()["id"]
    return credential_id


async def swept(functions: Functions, tenant: TenantId, clock: Clock) -> httpx.Response:
    """Have the tenant's keys checked, and Vault swept."""
    event = functions.event("credential.check.requested", {"requested_at": clock().isoformat()}, tenant)
    return await functions.deliver("credential_health", event)
