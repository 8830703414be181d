"""Start and stop a whole platform, in the right order."""

import asyncio
import contextlib
import datetime as dt
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any

from alphapulse_local import leftovers
from alphapulse_local.backing import Backing, DatabaseAddresses
from alphapulse_local.broker import Broker
from alphapulse_local.children import Children
from alphapulse_local.configuration import Configuration, chosen_settings, source_keys
from alphapulse_local.console import Console
from alphapulse_local.data_sources import DataSources, choose
from alphapulse_local.function import Function
from alphapulse_local.gateway import Gateway
from alphapulse_local.launch import Launch
from alphapulse_local.manifests import Manifests, load, triggers_by_function
from alphapulse_local.options import Options
from alphapulse_local.ports import address, listen, serving
from alphapulse_local.proxy import Proxy, new_session
from alphapulse_local.schedules import ScheduleRunner
from alphapulse_local.servers import Supervisor
from alphapulse_local.stand_ins import StandIns
from alphapulse_local.state import StateDirectory, new_signing_key
from alphapulse_local.vault import Vault


class Platform:
    """One running platform; see `run`."""

    def __init__(self, options: Options, console: Console, environment: Mapping[str, str]) -> None:
        self._options = options
        self._console = console
        self._environment = environment
        self._began = time.monotonic()
        self._started_at = dt.datetime.now(dt.UTC)
        self._state = StateDirectory(options.state_directory)
        self._manifests: Manifests = load(options.root)
        self._children = Children(self._state.run, self._state.logs)
        self._functions: dict[str, Function] = {}
        self._supervisors: dict[str, Supervisor] = {}
        self._broker: Broker | None = None
        self._sources: DataSources | None = None
        self._url = ""
        self._internal_url = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything, say so, and stop everything when `stop` is set.

        Raises
        ------
        PortInUse, AlreadyRunning, ManifestError, ServerDidNotStart
            The platform cannot start; what was started has been stopped again.
        """
        async with contextlib.AsyncExitStack() as stack:
            public = stack.enter_context(contextlib.closing(listen(self._options.port)))
            self._take_state(stack)
            starting = asyncio.create_task(self._start(stack, public))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                self._console.note("stopping before the start was over")
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                return
            starting.result()
            await stopping
            self._console.note("stopping")
        self._console.note("stopped; the data stay in " + str(self._state.path))

    def _take_state(self, stack: contextlib.AsyncExitStack) -> None:
        self._state.create()
        self._state.lock()
        stack.callback(self._state.withdraw)
        leftovers.end(
            leftovers.read(self._state.run),
            on_end=lambda record: self._console.warn(
                f"stopped {record.name} (process {record.pid}), left over from an earlier run"
            ),
        )
        for path in self._state.run.glob("*.json"):
            path.unlink()
        self._children.start_keeper()
        stack.callback(self._children.stop_keeper)

    async def _start(self, stack: contextlib.AsyncExitStack, public: socket.socket) -> None:
        session = await stack.enter_async_context(new_session())
        internal = stack.enter_context(contextlib.closing(listen(0)))
        self._url, self._internal_url = address(public), address(internal)
        backing = Backing(self._state, self._environment, processes=self._children, reporter=self._console)
        broker = self._broker = self._new_broker(backing)
        stand_ins = self._new_stand_ins()
        vault = self._new_vault()
        parts = (backing, broker, stand_ins, vault)
        self._supervisors = {name: one for part in parts for name, one in part.supervisors.items()}
        stack.push_async_callback(backing.stop)
        stack.push_async_callback(stand_ins.stop)
        stack.push_async_callback(vault.stop)
        stack.push_async_callback(broker.stop)
        addresses, self._sources = await self._start_backing(backing, broker, stand_ins, vault)
        configuration = self._configuration(addresses, backing, broker, stand_ins, vault)
        gateway = self._gateway(configuration, Proxy(session), stand_ins)
        stack.push_async_callback(self._stop_functions)
        await stack.enter_async_context(serving(internal, gateway.internal))
        # Deliveries end before the functions do; the rest of the broker ends after them.
        stack.push_async_callback(broker.stop_dispatcher)
        if self._options.warm:
            await self._step("functions", self._warm())
        await stack.enter_async_context(serving(public, gateway.public))
        schedules = ScheduleRunner(
            self._manifests.schedules, broker_url=broker.url, session=session, reporter=self._console
        )
        await self._ready(self._sources.notes() + stand_ins.notes() + vault.notes())
        await stack.enter_async_context(_running(schedules.run(), self._console))

    def _new_broker(self, backing: Backing) -> Broker:
        return Broker(
            root=self._options.root,
            redis_url=backing.broker_redis_url,
            subscribers=self._internal_url + "/services/{name}",
            log_level=self._options.log_level,
            processes=self._children,
            reporter=self._console,
        )

    def _new_stand_ins(self) -> StandIns:
        return StandIns(
            self._state,
            self._environment,
            public_url=self._url,
            processes=self._children,
            reporter=self._console,
        )

    def _new_vault(self) -> Vault:
        return Vault(
            self._options.root,
            self._state,
            self._environment,
            manifests=self._manifests,
            processes=self._children,
            reporter=self._console,
        )

    async def _start_backing(
        self, backing: Backing, broker: Broker, stand_ins: StandIns, vault: Vault
    ) -> tuple[DatabaseAddresses, DataSources]:
        async def log_and_broker() -> None:
            await backing.start_log()
            await broker.start()

        steps = [
            asyncio.create_task(step)
            for step in (
                # Beside the servers, which take about as long as a network that does not answer.
                choose(self._options, self._environment, memory=self._state.path / "market-source"),
                self._step("database and migrations", backing.start_database()),
                self._step("cache", backing.start_cache()),
                self._step("broker and its log", log_and_broker()),
                self._step("mail and Stripe", stand_ins.start()),
                self._step("secrets", vault.start()),
            )
        ]
        try:
            sources, addresses, *_ = await asyncio.gather(*steps)
        except BaseException:
            for step in steps:
                step.cancel()
            await asyncio.gather(*steps, return_exceptions=True)
            raise
        return addresses, sources

    async def _step(self, text: str, work: Any) -> Any:
        began = time.monotonic()
        result = await work
        self._console.done(text, seconds=time.monotonic() - began)
        return result

    def _configuration(
        self,
        addresses: DatabaseAddresses,
        backing: Backing,
        broker: Broker,
        stand_ins: StandIns,
        vault: Vault,
    ) -> Configuration:
        self._state.secret("token-signing-key/key.pem", make=new_signing_key)
        local = {
            "BROKER_URL": broker.url,
            "JWKS_URL": self._internal_url + "/services/accounts/.well-known/jwks.json",
            "LOG_LEVEL": self._options.log_level,
            **(self._sources.settings() if self._sources is not None else {}),
            **chosen_settings(self._environment),
            **stand_ins.settings(),
            **vault.settings(),
        }
        return Configuration.on_laptop(
            self._manifests,
            settings=local,
            environment=self._environment,
            secrets={
                "database-app": {"url": addresses.app},
                "database-platform": {"url": addresses.platform},
                "redis-cache": {"url": backing.redis_url},
                **stand_ins.secrets(),
                **source_keys(self._environment),
            },
            secret_directories={
                "token-signing-key": self._state.secrets / "token-signing-key",
                **vault.secret_directories(),
            },
        )

    def _gateway(self, configuration: Configuration, proxy: Proxy, stand_ins: StandIns) -> Gateway:
        launch = Launch(
            command=self._options.function_command,
            environment=configuration.environment,
            cwd=self._options.root,
            idle_seconds=self._options.idle_seconds,
            warm=self._options.warm,
        )
        for manifest in self._manifests.functions.values():
            configuration.environment(manifest)
            self._functions[manifest.name] = Function(
                manifest, launch, processes=self._children, reporter=self._console
            )
        return Gateway(self._manifests, self._functions, proxy=proxy, status=self.status, page=stand_ins.page)

    async def _warm(self) -> None:
        # More starts at once than cores only make each of them slower.
        places = asyncio.Semaphore(max(2, os.cpu_count() or 1))

        async def start(function: Function) -> None:
            async with places:
                await function.keep_warm()

        await asyncio.gather(*(start(function) for function in self._functions.values()))

    async def _stop_functions(self) -> None:
        await asyncio.gather(*(function.close() for function in self._functions.values()))

    async def _ready(self, notes: str) -> None:
        self._state.announce({"pid": os.getpid(), "url": self._url, "internal_url": self._internal_url})
        document = await self.status()
        self._console.functions(document["functions"])
        seconds = time.monotonic() - self._began
        self._console.ready(self._url, seconds=seconds, logs=self._state.logs, notes=notes)

    async def status(self) -> dict[str, Any]:
        """Return what `status` shows."""
        triggers = triggers_by_function(self._options.root)
        async with new_session() as session:
            depths = await self._broker.depths(session) if self._broker is not None else {}
        return {
            "pid": os.getpid(),
            "url": self._url,
            "internal_url": self._internal_url,
            "started_at": self._started_at.isoformat(),
            "python": sys.executable,
            "functions": [
                {
                    **function.status(),
                    "routes": [r.path for r in self._manifests.routes if r.function == function.name],
                    "triggers": triggers.get(function.name, []),
                }
                for function in self._functions.values()
            ],
            "sources": self._sources.document() if self._sources is not None else {},
            "components": {name: supervisor.status() for name, supervisor in self._supervisors.items()},
            "broker": depths,
        }


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], console: Console) -> AsyncIterator[None]:
    async def guarded() -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it was, the operator must hear of it
            console.warn(f"schedules ended: {error!r}; restart the platform once the cause is mended")

    task = asyncio.create_task(guarded())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
