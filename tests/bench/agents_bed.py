"""What runs of agents need, each a process of its own: broker, functions, PostgreSQL, both Redis servers.

Triggers are the repository's own, led to the ports of this machine. Figures and posts are simulated, candles
are stored beforehand.
"""

import asyncio
import contextlib
import datetime as dt
import secrets
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from alphapulse.data import migrate
from alphapulse.data.bootstrap import DatabaseUrls, RolePasswords, create_database
from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.domain.instruments import Interval
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.embedded.process import free_port
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.bench.agents_evidence import bars_of
from tests.bench.agents_outcome import Finished, finished, running, statuses
from tests.bench.broker_processes import ROOT, Bed, answers
from tests.logins import insert_logins, login_of
from tests.stored_candles import store

#: All that are simulated.
ASSETS: Final = ("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "AVAX", "LINK", "LTC")
AGENT_FUNCTIONS: Final = tuple(f"signal_{agent}" for agent in AGENT_NAMES)
TIER: Final = "enterprise"
_OTHERS: Final = ("accounts", "agents", "consensus", "outbox_relay")
_WITH_PLATFORM: Final = frozenset({"accounts", "consensus", "outbox_relay"})
_CONNECTIONS: Final = 20
_POLL_SECONDS: Final = 0.05
_SWEEP_SECONDS: Final = 10.0


class AgentsBed(Bed):
    """A platform cut down to what a run of agents passes through.

    Parameters
    ----------
    directory
        For data and logs.
    assets
        Whose bars are stored; without an environment that says other, figures of these must be simulated.
    environment
        Of all functions, beside what they need.
    """

    def __init__(
        self, directory: Path, *, assets: Sequence[str] = ASSETS, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(directory)
        self.symbols = tuple(f"{asset}-USDT" for asset in assets)
        self.ports = {name: free_port() for name in (*AGENT_FUNCTIONS, *_OTHERS)}
        self.ingress_port, self.dispatcher_port = free_port(), free_port()
        self.postgres = EmbeddedPostgres(directory / "postgres", password=secrets.token_urlsafe(16))
        self.cache = EmbeddedRedis(
            directory / "cache", password=secrets.token_urlsafe(16), port=free_port(), append_only=False
        )
        self._environment = dict(environment or {})
        self._key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._database: DatabaseUrls | None = None

    @property
    def database(self) -> DatabaseUrls:
        """Of the functions; there once the bed is open."""
        if self._database is None:
            raise RuntimeError("the bed is not open")
        return self._database

    @property
    def admin_url(self) -> str:
        """Of the same database, for an administrator, who sees all tenants."""
        return self.postgres.url(database="alphapulse")

    def open(self) -> None:
        """Start everything and return when it is ready."""
        self.postgres.start()
        self.cache.start()
        asyncio.run(self._prepare())
        triggers = self.directory / "triggers"
        triggers.mkdir()
        (triggers / "all.yaml").write_text(yaml.safe_dump_all(self._triggers()))
        (self.directory / "key.pem").write_bytes(self._key)
        broker = {
            "BROKER_REDIS_URL": self.redis.url,
            "BROKER_PORT": str(self.ingress_port),
            "BROKER_DISPATCHER_PORT": str(self.dispatcher_port),
            "BROKER_TRIGGERS": str(triggers),
        }
        self.start("ingress", "alphapulse_broker", "ingress", **broker)
        self.start("dispatcher", "alphapulse_broker", "dispatcher", **broker)
        for name, port in self.ports.items():
            self.start(name, "alphapulse.serve", **self._function(name, port))
        self.until(lambda: answers(self.ingress_port, "/ready"), "ingress")
        self.until(lambda: answers(self.dispatcher_port, "/ready"), "dispatcher")
        for name, port in self.ports.items():
            self.until(lambda port=port: answers(port, "/ready"), name)  # type: ignore[misc]  # a bound default

    def close(self) -> None:
        """Stop everything that was started."""
        super().close()
        self.cache.stop()
        self.redis.stop()
        self.postgres.stop()

    async def new_tenants(self, count: int) -> list[TenantId]:
        """Insert active tenants with all that a run asks about them."""
        tenants = [TenantId.new() for _ in range(count)]
        connection = await asyncpg.connect(self.database.platform)
        try:
            for tenant in tenants:
                async with connection.transaction():
                    # Formatted from a UUID object; SET takes no parameters.
                    await connection.execute(f"SET LOCAL app.current_tenant_id = '{tenant}'")
                    await connection.execute(
                        "INSERT INTO tenants (id, company, tier, status, activated_at)"
                        " VALUES ($1, $2, $3, 'active', now())",
                        tenant.value,
                        f"Company {tenant}",
                        TIER,
                    )
                    await connection.execute(
                        "INSERT INTO tenant_configs (tenant_id) VALUES ($1)", tenant.value
                    )
                    await insert_logins(connection, tenant)
        finally:
            await connection.close()
        return tenants

    async def run(
        self,
        tenants: Sequence[TenantId],
        agents: Sequence[str],
        *,
        symbols: Sequence[str] = (),
        deadline_seconds: float = 300,
    ) -> Finished:
        """Ask for the signals of all agents about symbols, for all tenants at once, and wait for the end.

        Without symbols, about all that the bed has.

        Raises
        ------
        RuntimeError
            A request was refused, or runs are still running after the deadline.
        """
        admin = await asyncpg.connect(self.admin_url)
        sweeper = asyncio.create_task(self._sweep())
        started = time.monotonic()
        try:
            about = symbols or self.symbols
            run_ids = await self._ask(tenants, agents, about)
            while await running(admin, run_ids):
                if time.monotonic() - started > deadline_seconds:
                    raise RuntimeError(f"not ended in time: {await statuses(admin, run_ids)}")
                await asyncio.sleep(_POLL_SECONDS)
            seconds = time.monotonic() - started
            asked = len(tenants) * len(agents) * len(about)
            return await finished(admin, run_ids, seconds=seconds, asked=asked)
        finally:
            sweeper.cancel()
            await asyncio.wait([sweeper])
            await admin.close()

    def cache_failures(self) -> int:
        """Return how often a function found that the cache did not answer in time, by their logs."""
        logs = (self.directory / f"{name}.log" for name in self.ports)
        return sum(log.read_text(errors="replace").count("cache_unavailable") for log in logs)

    def metrics(self) -> Counter[str]:
        """Return the counters of all functions, summed: `name{labels}` to number."""
        found: Counter[str] = Counter()
        for port in self.ports.values():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                for line in answer.read().decode().splitlines():
                    name, _, number = line.rpartition(" ")
                    if not line.startswith("#") and name.partition("{")[0].endswith("_total"):
                        found[name] += float(number)  # type: ignore[assignment]  # counters are floats there
        return found

    async def _ask(
        self, tenants: Sequence[TenantId], agents: Sequence[str], symbols: Sequence[str]
    ) -> list[str]:
        signer, now = TokenSigner(self._key), dt.datetime.now(dt.UTC)
        body = {"symbols": list(symbols), "agents": list(agents), "interval": Interval.DAY.value}
        limits = httpx.Limits(max_connections=_CONNECTIONS)
        async with httpx.AsyncClient(timeout=120, trust_env=False, limits=limits) as client:

            async def ask(tenant: TenantId) -> str:
                token = signer.sign(login_of(tenant, tier=TIER), now=now, lifetime=dt.timedelta(hours=1))
                answer = await client.post(
                    f"http://127.0.0.1:{self.ports['agents']}/agents/run",
                    json=body,
                    headers={"Authorization": f"Bearer {token}"},
                )
                if answer.status_code != httpx.codes.ACCEPTED:
                    raise RuntimeError(f"a run was answered {answer.status_code}: {answer.text}")
                run_id: str = answer.json()["run_id"]
                return run_id

            return await asyncio.gather(*map(ask, tenants))

    async def _sweep(self) -> None:
        # As the PingSource does it: events whose sending failed are sent again.
        headers = {
            "ce-specversion": "1.0",
            "ce-type": "dev.knative.sources.ping",
            "ce-source": "/bench",
            "ce-schedule": "outbox-sweep",
            "content-type": "application/json",
        }
        url = f"http://127.0.0.1:{self.ingress_port}/alphapulse/default"
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                await asyncio.sleep(_SWEEP_SECONDS)
                with contextlib.suppress(httpx.TransportError):
                    await client.post(url, json={}, headers=headers | {"ce-id": secrets.token_hex(8)})

    async def _prepare(self) -> None:
        self._database = await create_database(self.postgres.url(), passwords=RolePasswords.random())
        await migrate.upgrade(self.database.owner)
        platform = PlatformDatabase(self.database.platform, application_name="bench")
        try:
            for number, symbol in enumerate(self.symbols):
                await store(platform, symbol, list(bars_of(number)), source="simulated")
        finally:
            await platform.close()

    def _function(self, name: str, port: int) -> dict[str, str]:
        found = {
            "FUNCTION": name,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATABASE_URL": self.database.app,
            "REDIS_URL": self.cache.url,
            "BROKER_URL": f"http://127.0.0.1:{self.ingress_port}/alphapulse/default",
            "JWKS_URL": f"http://127.0.0.1:{self.ports['accounts']}/.well-known/jwks.json",
            "TOKEN_SIGNING_KEY_FILE": str(self.directory / "key.pem"),
            "IP_REQUESTS_PER_MINUTE": "1000000000",
            "PROVIDER_SOURCE": "simulated",
            "LOG_LEVEL": "WARNING",
            **self._environment,
        }
        if name in _WITH_PLATFORM:
            found["PLATFORM_DATABASE_URL"] = self.database.platform
        return found

    def _triggers(self) -> Iterator[dict[str, Any]]:
        for path in sorted((ROOT / "eventing" / "triggers").glob("*.yaml")):
            for trigger in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                function = trigger["spec"]["subscriber"]["ref"]["name"].replace("-", "_")
                if function in self.ports:
                    trigger["spec"]["subscriber"] = {"uri": f"http://127.0.0.1:{self.ports[function]}/"}
                    yield trigger
