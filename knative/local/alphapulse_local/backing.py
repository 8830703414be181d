"""PostgreSQL and the two Redis servers: embedded ones, or those the environment names."""

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg

from alphapulse_local.children import Children
from alphapulse_local.embedded.postgres import EmbeddedPostgres
from alphapulse_local.embedded.process import ServerDidNotStart, free_port
from alphapulse_local.embedded.redis import EmbeddedRedis
from alphapulse_local.launch import Reporter
from alphapulse_local.servers import EmbeddedServer, Supervisor
from alphapulse_local.state import StateDirectory

DATABASE = "alphapulse"


@dataclass(frozen=True)
class DatabaseAddresses:
    """Connection URLs of the roles functions get. Passwords included, so never printed."""

    app: str = field(repr=False)
    platform: str = field(repr=False)


class Backing:
    """Knows the addresses before anything runs: ports are chosen, passwords read or made up.

    Parameters
    ----------
    environment
        `DATABASE_URL` (an administrator's), `REDIS_URL` and `BROKER_REDIS_URL` each replace one
        embedded server.
    """

    def __init__(
        self,
        state: StateDirectory,
        environment: Mapping[str, str],
        *,
        processes: Children,
        reporter: Reporter,
    ) -> None:
        self._state = state
        self._children = processes
        self._reporter = reporter
        self.supervisors: dict[str, Supervisor] = {}
        self.admin_url = environment.get("DATABASE_URL") or self._embedded_postgres()
        self.redis_url = environment.get("REDIS_URL") or self._embedded_redis("cache")
        self.broker_redis_url = environment.get("BROKER_REDIS_URL") or self._embedded_redis("broker")

    async def start_database(self) -> DatabaseAddresses:
        """Start PostgreSQL, create database and roles where missing, apply migrations."""
        await self._start("postgres")
        return await self._prepare_database()

    async def start_cache(self) -> None:
        """Start the cache's Redis."""
        await self._start("redis-cache")

    async def start_log(self) -> None:
        """Start the broker's Redis."""
        await self._start("redis-broker")

    async def stop(self) -> None:
        """Stop what was started."""
        await asyncio.gather(*(supervisor.stop() for supervisor in self.supervisors.values()))

    async def _start(self, name: str) -> None:
        supervisor = self.supervisors.get(name)
        if supervisor is not None:
            await supervisor.start()

    async def _prepare_database(self) -> DatabaseAddresses:
        from alphapulse.data.bootstrap import RolePasswords, create_database  # noqa: PLC0415 - while
        from alphapulse.data.migrate import SchemaTooNew, upgrade  # noqa: PLC0415 - the servers start

        secret = self._state.secret
        passwords = RolePasswords(
            owner=secret("postgres-owner"),
            app=secret("postgres-app"),
            platform=secret("postgres-platform"),
            readonly=secret("postgres-readonly"),
        )
        try:
            urls = await create_database(self.admin_url, database=DATABASE, passwords=passwords)
            await upgrade(urls.owner)
        except (OSError, asyncpg.PostgresError, SchemaTooNew) as error:
            raise ServerDidNotStart(f"the database cannot be prepared: {error}") from error
        return DatabaseAddresses(app=urls.app, platform=urls.platform)

    def _embedded_postgres(self) -> str:
        server = EmbeddedPostgres(
            self._state.path / "postgres", password=self._state.secret("postgres-superuser"), port=free_port()
        )
        self._supervise(
            EmbeddedServer("postgres", server, processes=self._children, stop_signal=signal.SIGINT)
        )
        return server.url()

    def _embedded_redis(self, purpose: str) -> str:
        server = EmbeddedRedis(
            self._state.path / f"redis-{purpose}",
            password=self._state.secret(f"redis-{purpose}"),
            port=free_port(),
            append_only=purpose == "broker",
            function_password=self._state.secret("redis-functions") if purpose == "cache" else None,
        )
        self._supervise(EmbeddedServer(f"redis-{purpose}", server, processes=self._children))
        return server.function_url if purpose == "cache" else server.url

    def _supervise(self, server: EmbeddedServer) -> None:
        self.supervisors[server.name] = Supervisor(server, processes=self._children, reporter=self._reporter)
