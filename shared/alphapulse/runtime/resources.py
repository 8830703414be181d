"""What a function process reaches: opened on first use, closed at shutdown."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any

import structlog

from alphapulse.data.errors import DatabaseError
from alphapulse.events.publish import Publisher
from alphapulse.runtime.cache_quotas import CacheQuotas
from alphapulse.runtime.metrics import SourceCounts
from alphapulse.runtime.settings import Secret, Settings
from alphapulse.tenancy import call_backlog
from alphapulse.tenancy.api_keys import ApiKeys
from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.database import Database
from alphapulse.tenancy.facts import FactsCache
from alphapulse.tenancy.keyspace import TenantKeyspace
from alphapulse.tenancy.limiter import RateLimiter
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.principal import Tier
from alphapulse.tenancy.tokens import Jwks, KeysUnavailable, TokenVerifier

if TYPE_CHECKING:
    from alphapulse.billing.provider import BillingProvider
    from alphapulse.providers.candles import CandleSource
    from alphapulse.providers.providers import Providers
    from alphapulse.runtime.mail import Mailer
    from alphapulse.tenancy.vault.connection import VaultConnection
    from alphapulse.tenancy.vault.platform import PlatformVault
    from alphapulse.venues.exchanges import Exchanges

Clock = Callable[[], dt.datetime]

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


def utc_now() -> dt.datetime:
    """Return the time, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


class NotConfigured(RuntimeError):
    """The function needs a setting that its manifest does not give it."""


class Background:
    """Work that goes on after an answer; shutdown waits for it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`; an exception is logged, never lost."""
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until nothing runs any more."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    @staticmethod
    async def _guard(work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            logger.exception("background_work_failed")


class Resources:
    """The databases, cache, broker and keys of one process.

    Parameters
    ----------
    settings
        Addresses; a resource without one raises `NotConfigured` when it is asked for.
    clock
        Aware UTC now.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.background = Background()
        self._jwks: Callable[[], Awaitable[Jwks]] = self._fetch_jwks

    @cached_property
    def database(self) -> Database:
        """Tenants' data, through row-level security."""
        return Database(
            self._secret("database_url").reveal(),
            application_name=self.settings.function,
            max_size=self.settings.database_pool_size,
        )

    @cached_property
    def platform(self) -> PlatformDatabase:
        """The platform's own role; only named functions are given its address."""
        return PlatformDatabase(
            self._secret("platform_database_url").reveal(),
            application_name=self.settings.function,
        )

    @cached_property
    def cache(self) -> CacheConnection:
        """The cache Redis."""
        quotas = CacheQuotas(self)
        return CacheConnection(
            self._secret("redis_url").reveal(),
            quota_of=quotas.of,
            on_crossing=quotas.crossed,
            on_shared_read=SourceCounts().read,
        )

    @cached_property
    def facts(self) -> FactsCache:
        """What is true of callers now."""
        return FactsCache(self.database, clock=self.clock)

    @cached_property
    def limiter(self) -> RateLimiter:
        """Rate limits and daily quotas; without a cache Redis, those that one process can see."""
        cache = self.cache if self.settings.redis_url is not None else CacheConnection(None)
        # The moment is Redis' own, one for all processes, unless somebody has chosen another clock.
        clock = None if self.clock is utc_now else lambda: self.clock().timestamp()
        return RateLimiter(cache, clock=clock)

    @cached_property
    def keyspace(self) -> TenantKeyspace:
        """The cache Redis as provisioning needs it: with an answer, or an error."""
        return TenantKeyspace(self._secret("redis_url").reveal())

    @cached_property
    def vault(self) -> "VaultConnection":
        """Tenants' secrets, through each tenant's own policy."""
        from alphapulse.runtime.vault import connect_vault  # noqa: PLC0415 - few functions need it

        return connect_vault(self.settings)

    @cached_property
    def platform_vault(self) -> "PlatformVault":
        """What the login of this function may do in Vault beyond tenants' secrets; most may nothing."""
        from alphapulse.tenancy.vault.platform import PlatformVault  # noqa: PLC0415 - as above

        return PlatformVault(self.vault)

    @cached_property
    def publisher(self) -> Publisher:
        """The broker's ingress."""
        if self.settings.broker_url is None:
            raise NotConfigured("BROKER_URL is not set")
        return Publisher(self.settings.broker_url)

    @cached_property
    def api_keys(self) -> ApiKeys:
        """Tells whose an API key is."""
        return ApiKeys(self.database, clock=self.clock)

    @cached_property
    def verifier(self) -> TokenVerifier:
        """Verifies access tokens."""
        return TokenVerifier(self._jwks, clock=self.clock)

    @cached_property
    def mailer(self) -> "Mailer":
        """The mail server."""
        from alphapulse.runtime.mail import Mailer  # noqa: PLC0415 - only who sends mail pays for it

        if self.settings.mail_from is None:
            raise NotConfigured("MAIL_FROM is not set")
        return Mailer(self._secret("smtp_url"), self.settings.mail_from, clock=self.clock)

    @cached_property
    def exchanges(self) -> "Exchanges":
        """The exchanges that are reached with a tenant's key."""
        from alphapulse.tenancy.nonces import NonceCounters  # noqa: PLC0415 - see `mailer`
        from alphapulse.venues.exchanges import BASE_URLS, Exchanges  # noqa: PLC0415

        addresses = {name: getattr(self.settings, f"{name}_url") for name in BASE_URLS}
        counters = NonceCounters(self.cache, "kraken")

        async def kraken_nonce(api_key: str) -> int:
            return await counters.next(api_key, now=self.clock())

        return Exchanges(
            {name: address for name, address in addresses.items() if address is not None},
            clock=self.clock,
            kraken_nonces=kraken_nonce,
        )

    @cached_property
    def billing(self) -> "BillingProvider":
        """The payment service; only the functions that need it are given its key."""
        from alphapulse.billing.stripe_provider import StripeBilling  # noqa: PLC0415 - see `mailer`

        settings = self.settings
        prices = {
            Tier.STARTER: settings.stripe_price_starter,
            Tier.PRO: settings.stripe_price_pro,
            Tier.ENTERPRISE: settings.stripe_price_enterprise,
        }
        return StripeBilling(
            self._secret("stripe_api_key").reveal(),
            api_base=settings.stripe_api_base,
            prices={tier: price for tier, price in prices.items() if price is not None},
        )

    @cached_property
    def candles(self) -> "CandleSource":
        """Candles and last prices from where the settings say: files, an exchange, or a simulation."""
        from alphapulse.runtime.market_source import market_source  # noqa: PLC0415 - see `mailer`

        cache = self.cache if self.settings.redis_url is not None else CacheConnection(None)
        return market_source(self.settings, cache=cache, clock=self.clock)

    @cached_property
    def providers(self) -> "Providers":
        """On-chain, supply, posts and governance data; shared through the cache Redis if there is one."""
        from alphapulse.providers.providers import Providers  # noqa: PLC0415 - see `mailer`
        from alphapulse.runtime.data_sources import provider_options  # noqa: PLC0415

        cache = self.cache if self.settings.redis_url is not None else CacheConnection(None)
        options = provider_options(self.settings)
        return Providers(options, cache=cache, clock=self.clock, observer=SourceCounts())

    def use_keys(self, jwks: Jwks | Callable[[], Awaitable[Jwks]]) -> None:
        """Verify tokens with these public keys, or with what is returned, instead of fetching them."""

        async def known() -> Jwks:
            return await jwks() if callable(jwks) else jwks

        self._jwks = known

    async def not_ready(self) -> list[str]:
        """Return the names of the databases that are configured and do not answer now.

        The cache is left out: without it a function is slower and still right, so its loss must not
        take the function out of service.
        """
        checks: dict[str, Awaitable[bool]] = {}
        if self.settings.database_url is not None:
            checks["database"] = self.database.ping()
        if self.settings.platform_database_url is not None:
            checks["platform_database"] = self.platform.ping()
        answers = await asyncio.gather(*checks.values())
        return [name for name, answer in zip(checks, answers, strict=True) if not answer]

    async def close(self) -> None:
        """Finish background work, then close what was opened."""
        await self.background.drain()
        if "limiter" in self.__dict__:
            await self._hand_in_calls()
        opened = (
            *("database", "platform", "cache", "keyspace", "publisher"),
            *("vault", "billing", "exchanges", "providers", "candles"),
        )
        for name in opened:
            if name in self.__dict__:
                await self.__dict__[name].close()

    async def _hand_in_calls(self) -> None:
        left = await self.limiter.close()
        if not left:
            return
        try:
            await call_backlog.keep(self.database, left)
        except DatabaseError:
            logger.exception("calls_not_counted", calls=sum(left.values()), tenants=len(left))

    def _secret(self, name: str) -> Secret:
        value: Secret | None = getattr(self.settings, name)
        if value is None:
            raise NotConfigured(f"{name.upper()} is not set")
        return value

    async def _fetch_jwks(self) -> Jwks:
        import httpx  # noqa: PLC0415 - paid by the first authenticated request only

        if self.settings.jwks_url is None:
            raise KeysUnavailable("JWKS_URL is not set")
        try:
            async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
                answer = await client.get(self.settings.jwks_url)
                answer.raise_for_status()
                jwks: Jwks = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise KeysUnavailable(f"signing keys could not be fetched: {type(error).__name__}") from error
        return jwks
