"""A function's ASGI app in process, on real PostgreSQL and Redis, called as its users call it.

`functions.caller("trade", tenant)` is an `httpx.AsyncClient` of the tenant's owner; without a tenant
it is anonymous. `functions.deliver("portfolio", event)` hands the function an event as the broker
does. What functions publish arrives in `broker.events`.
"""

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import redis.asyncio as redis
import structlog

from alphapulse.data.bootstrap import DatabaseUrls
from alphapulse.events import Event, event_type
from alphapulse.runtime.resources import Resources, utc_now
from alphapulse.runtime.serving import build_function
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.tokens import TokenSigner
from alphapulse_local.embedded.redis import EmbeddedRedis
from tests.logins import login_of

_DEADLINE_SECONDS = 5


class Broker:
    """A broker ingress that stores what it is sent; `up = False` makes it refuse.

    An event whose id is in `refusals` is answered with that status line instead.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.up = True
        self.refusals: dict[str, str] = {}
        self.url = ""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/alphapulse/default"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def named(self, name: str, tenant_id: TenantId | None = None) -> list[Event]:
        """Events `noun.verb`, of one tenant if given."""
        tenant = None if tenant_id is None else tenant_id.value
        return [e for e in self.events if e.name == name and tenant in (None, e.tenant_id)]

    async def wait_for(self, name: str, *, count: int = 1, tenant_id: TenantId | None = None) -> list[Event]:
        """Return the events `noun.verb` once there are at least `count` of them."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while len(found := self.named(name, tenant_id)) < count:
                await asyncio.sleep(0.01)
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await self._answer_one(reader, writer)
        writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        status = b"202 Accepted" if self.up else b"503 Service Unavailable"
        if self.up:
            event = Event.from_http(headers, body)
            if refusal := self.refusals.get(event.id):
                status = refusal.encode()
            else:
                self.events.append(event)
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()


class Clock:
    """A clock that tests move; `clock()` is aware UTC now."""

    def __init__(self, now: dt.datetime | None = None) -> None:
        self.fixed = now
        self.offset = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return (self.fixed or utc_now()) + self.offset

    def advance(self, **duration: float) -> None:
        """Move by a `timedelta(**duration)`."""
        self.offset += dt.timedelta(**duration)


class Market:
    """A directory of one-minute candle files, so that tests say what prices are."""

    def __init__(self, directory: Path, cache_url: str) -> None:
        self.directory = directory
        self._redis = redis.Redis.from_url(cache_url)
        self._bars: dict[str, dict[dt.datetime, str]] = {}

    async def price(self, symbol: str, price: str) -> None:
        """Make `price` the last price of `symbol`, as if it had always been."""
        self._bars.pop(symbol, None)
        await self.bar(symbol, dt.datetime(2024, 1, 1, tzinfo=dt.UTC), low=price, high=price, close=price)

    async def bar(
        self,
        symbol: str,
        open_time: dt.datetime,
        *,
        low: str,
        high: str,
        close: str,
        open_: str | None = None,
    ) -> None:
        """Add a one-minute bar; the newest one is the last price."""
        row = f"{open_time:%Y-%m-%dT%H:%M:00Z},{open_ or close},{high},{low},{close},1"
        bars = self._bars.setdefault(symbol, {})
        bars[open_time] = row
        text = "\n".join(["timestamp,open,high,low,close,volume", *(bars[at] for at in sorted(bars))])
        (self.directory / f"{symbol}_1m.csv").write_text(text + "\n")
        await self.forget(symbol)

    async def forget(self, symbol: str) -> None:
        """Drop the cached last price, as five seconds would."""
        await self._redis.delete(f"shared:market:paper:{symbol}:ticker")

    async def cached(self, symbol: str, price: str, *, as_of: dt.datetime) -> None:
        """Put a last price into the cache as a market that has stopped would leave it."""
        value = {
            **dict.fromkeys(("price", "bid", "ask"), price),
            **dict.fromkeys(("as_of", "bar_open_time"), as_of.isoformat()),
            "symbol": symbol,
            "source": "directory",
        }
        await self._redis.set(f"shared:market:paper:{symbol}:ticker", orjson.dumps(value), px=5000)

    async def close(self) -> None:
        await self._redis.aclose()


class Functions:
    """Function apps of one test, each built once."""

    def __init__(self, settings: Settings, signer: TokenSigner, clock: Clock) -> None:
        self.settings = settings
        self.signer = signer
        self.clock = clock
        self._apps: dict[str, tuple[Resources, Any]] = {}
        self._clients: list[httpx.AsyncClient] = []

    def resources(self, function: str) -> Resources:
        """The function's databases and cache."""
        return self._app(function)[0]

    def caller(
        self,
        function: str,
        tenant_id: TenantId | None = None,
        *,
        role: str = "owner",
        tier: str = "starter",
    ) -> httpx.AsyncClient:
        """A client of the function with a token of the tenant, or without one."""
        headers = {} if tenant_id is None else self.authorization(tenant_id, role=role, tier=tier)
        # Origin and Host are those of any client; the app does not look at them.
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app(function)[1]),
            base_url=f"http://{function.replace('_', '-')}.test",
            headers=headers,
        )
        self._clients.append(client)
        return client

    def authorization(
        self, tenant_id: TenantId, *, role: str = "owner", tier: str = "starter"
    ) -> dict[str, str]:
        """The header of a signed-in user."""
        principal = login_of(tenant_id, role=role, tier=tier)
        token = self.signer.sign(principal, now=self.clock(), lifetime=dt.timedelta(days=400))
        return {"Authorization": f"Bearer {token}"}

    def event(self, name: str, data: dict[str, Any], tenant_id: TenantId | None = None, **ext: str) -> Event:
        """An event `noun.verb` as another function would emit it."""
        tenant = {} if tenant_id is None else {"tenantid": str(tenant_id)}
        return Event(type=event_type(name), source="/functions/test", data=data, extensions={**tenant, **ext})

    def tick(self, schedule: str) -> Event:
        """The event of a PingSource."""
        return Event(
            type="dev.knative.sources.ping",
            source="/apis/v1/namespaces/alphapulse/pingsources/test",
            data={},
            extensions={"schedule": schedule},
            id=str(uuid.uuid4()),
        )

    async def deliver(self, function: str, event: Event) -> httpx.Response:
        """Hand an event to the function as the broker does, and return its answer."""
        headers, body = event.to_http()
        return await self.caller(function).post("/", headers=headers, content=body)

    async def settle(self) -> None:
        """Wait until what goes on after the answers is done: publishing, mostly."""
        for resources, _ in self._apps.values():
            await resources.background.drain()

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()
        for resources, _ in self._apps.values():
            await resources.close()

    def _app(self, function: str) -> tuple[Resources, Any]:
        if function not in self._apps:
            settings = self.settings.replace(function=function)
            resources = Resources(settings, clock=self.clock)
            resources.use_keys(self.signer.jwks)
            self._apps[function] = (resources, build_function(resources))
        return self._apps[function]


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Log as functions do; structlog's own default draws tracebacks that take seconds."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )


@pytest.fixture(scope="session")
def signer(signing_key: bytes) -> TokenSigner:
    """Signs access tokens that the functions under test accept."""
    return TokenSigner(signing_key)


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """Where functions publish to."""
    ingress = Broker()
    await ingress.start()
    yield ingress
    await ingress.stop()


@pytest.fixture
def clock() -> Clock:
    """The functions' clock: the real time until a test moves it."""
    return Clock()


@pytest.fixture
async def market(tmp_path: Path, redis_server: EmbeddedRedis) -> AsyncIterator[Market]:
    """Prices for functions whose `market_data_dir` is `market.directory`."""
    prices = Market(tmp_path, redis_server.url)
    yield prices
    await prices.close()


@pytest.fixture
def function_settings(database: DatabaseUrls, redis_server: EmbeddedRedis, broker: Broker) -> Settings:
    """Settings of the functions; override the fixture for other ones."""
    return Settings(
        database_url=Secret(database.app),
        platform_database_url=Secret(database.platform),
        redis_url=Secret(redis_server.url),
        broker_url=broker.url,
        # All tests of a process come from one address.
        ip_requests_per_minute=1_000_000,
    )


@pytest.fixture
async def functions(
    function_settings: Settings, signer: TokenSigner, clock: Clock
) -> AsyncIterator[Functions]:
    """Functions in process."""
    built = Functions(function_settings, signer, clock)
    yield built
    await built.close()


Caller = Callable[..., httpx.AsyncClient]


@pytest.fixture
def caller(functions: Functions) -> Caller:
    """`caller("trade", tenant, role="viewer")`: a client of a function."""
    return functions.caller
