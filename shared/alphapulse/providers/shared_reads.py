"""Read each thing from a source once for all tenants, coroutines and processes.

A value is kept in Redis until it is no longer fresh, and in this process as long. Who finds none claims the
making of it; everybody else waits for the value instead of asking the source as well. A failure is
remembered for a short while, so that a source that is down is not asked by every run. A value past its
freshness is gone: none is passed off as present. While Redis is away, the same holds within each process.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog

from alphapulse.providers.candles.source import Clock
from alphapulse.providers.codecs import Codec
from alphapulse.providers.errors import (
    AssetUnknown,
    NotConfigured,
    ProviderError,
    SourceBusy,
    SourceDown,
    document_of,
    error_of,
)
from alphapulse.tenancy.cache import (
    PAUSE_AFTER_FAILURE_SECONDS,
    CacheConnection,
    CacheUnavailable,
    SharedCache,
)
from alphapulse.tenancy.flight import SingleFlight

Value = TypeVar("Value")

#: For how long a failure is remembered.
FAILURE_SECONDS: Final = 30.0
#: For how long a value is kept at most that lacks a part which the source has.
PARTIAL_SECONDS: Final = 300.0
#: For making a value, however many requests that takes.
LOAD_SECONDS: Final = 25.0

# A claim outlives the making of a value, so that only a killed process leaves one behind.
_CLAIM_SECONDS: Final = LOAD_SECONDS + 5
_FIRST_WAIT_SECONDS: Final = 0.02
_LONGEST_WAIT_SECONDS: Final = 0.25
_KEPT: Final = 512
# A Redis, or a process, that is busy for a moment is no reason for every process to ask the source: what
# failed is tried once more when the cache is asked again.
_SILENCE_SECONDS: Final = PAUSE_AFTER_FAILURE_SECONDS + 0.1
# One that failed to answer then too is away, and not waited for by the next reads.
_AWAY_SECONDS: Final = 30.0

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class Observer(Protocol):
    """Counts what happens."""

    def fetched(self, source: str, dataset: str, outcome: str) -> None:
        """Count a question to a source: `ok`, or the outcome of its error."""

    def read(self, dataset: str, outcome: str) -> None:
        """Count a read: `hit`, `miss` (it asked the source) or `waited` (for one that asked)."""


@dataclass(frozen=True, slots=True)
class ReadKey:
    """What is read.

    Attributes
    ----------
    source, dataset, asset : str
        Parts of the key in Redis: letters, digits and ``._-``.
    """

    source: str
    dataset: str
    asset: str

    @property
    def parts(self) -> tuple[str, str, str]:
        """For the cache."""
        return self.source, self.dataset, self.asset


@dataclass(frozen=True, slots=True)
class _Request:
    key: ReadKey
    load: Callable[[], Awaitable[Any]]
    codec: Codec[Any]
    fresh_seconds: float
    is_whole: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Value]):
    until: float
    value: Value | None
    failure: ProviderError | None

    def get(self) -> Value:
        if self.failure is not None:
            raise self.failure.again()
        return self.value  # type: ignore[return-value]  # None only beside a failure


class SharedReads:
    """The reads of one process.

    Parameters
    ----------
    connection
        The cache Redis; None shares within this process only.
    clock
        Aware UTC now.
    observer
        Counts.
    failure_seconds
        For how long a failure is remembered.
    """

    def __init__(
        self,
        connection: CacheConnection | None,
        *,
        clock: Clock,
        observer: Observer,
        failure_seconds: float = FAILURE_SECONDS,
    ) -> None:
        usable = connection if connection is not None and connection.is_configured else None
        self._cache: SharedCache | None = None if usable is None else usable.providers()
        self._clock = clock
        self._observer = observer
        self._failure_seconds = failure_seconds
        self._flight: SingleFlight[ReadKey, tuple[_Kept[Any], str]] = SingleFlight()
        self._kept: dict[ReadKey, _Kept[Any]] = {}
        self._away_until = -math.inf

    async def read(
        self,
        key: ReadKey,
        load: Callable[[], Awaitable[Value]],
        *,
        codec: Codec[Value],
        fresh_seconds: float,
        is_whole: Callable[[Value], bool] = lambda _: True,
    ) -> Value:
        """Return a value that is at most `fresh_seconds` old.

        Parameters
        ----------
        key
            What is read.
        load
            Asks the source.
        codec
            How the value is kept in Redis.
        fresh_seconds
            For how long it may be kept.
        is_whole
            Whether all of it came; less is kept for a shorter time.

        Raises
        ------
        ProviderError
            The source gave nothing, now or a short while ago.
        """
        kept = self._kept.get(key)
        outcome = "hit"
        # A time further ahead than freshness lasts is from before the clock was put back.
        if kept is None or not 0 < kept.until - self._now() <= fresh_seconds:
            joined = self._flight.carries(key)
            request = _Request(key, load, codec, fresh_seconds, is_whole)
            kept, outcome = await self._flight.run(key, lambda: self._obtain(request, self._cache))
            if joined and outcome == "miss":
                outcome = "waited"
        self._observer.read(key.dataset, outcome)
        return kept.get()  # type: ignore[no-any-return]  # what is kept under this key

    async def _obtain(self, request: "_Request", cache: SharedCache | None) -> "tuple[_Kept[Any], str]":
        """Return the value from Redis, from the source, or from whoever asks the source just now."""
        if cache is None:
            return await self._load(request), "miss"
        token, wait, outcome, silent = secrets.token_hex(8), _FIRST_WAIT_SECONDS, "hit", False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLAIM_SECONDS
        while (found := await self._stored(request, cache)) is None:
            try:
                claimed = await cache.claim(*request.key.parts, token=token, seconds=_CLAIM_SECONDS)
            except CacheUnavailable:
                if silent or loop.time() < self._away_until:
                    self._away_until = loop.time() + _AWAY_SECONDS
                    return await self._load(request), "miss"
                silent = True
                await asyncio.sleep(_SILENCE_SECONDS)
                continue
            if claimed:
                return await self._make(request, cache, token)
            if loop.time() > deadline:
                reason = f"{request.key.source} is being asked by a process that does not finish"
                return self._failed(SourceDown(reason)), "waited"
            outcome = "waited"
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT_SECONDS)
        return found, outcome

    async def _make(self, request: "_Request", cache: SharedCache, token: str) -> "tuple[_Kept[Any], str]":
        try:
            # Whoever had the claim before may have finished since the value was looked for.
            found = await self._stored(request, cache)
            if found is not None:
                return found, "waited"
            return await self._load(request, claimed=True), "miss"
        finally:
            await cache.release(*request.key.parts, token=token)

    async def _load(self, request: "_Request", *, claimed: bool = False) -> "_Kept[Any]":
        key = request.key
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                value = await request.load()
        except ProviderError as error:
            kept = self._failed(error)
        except TimeoutError:
            kept = self._failed(SourceDown(f"{key.source} does not answer within {LOAD_SECONDS:g} s"))
        else:
            seconds = request.fresh_seconds
            if not request.is_whole(value):
                seconds = min(seconds, PARTIAL_SECONDS)
            kept = _Kept(self._now() + seconds, value, None)
        outcome = "ok" if kept.failure is None else kept.failure.outcome
        self._observer.fetched(key.source, key.dataset, outcome)
        if kept.failure is not None:
            # Nothing is wrong with a source that has no key here, or nothing about an asset.
            expected = isinstance(kept.failure, (AssetUnknown, NotConfigured))
            report = logger.info if expected else logger.warning
            report(
                "source_gave_nothing",
                source=key.source,
                dataset=key.dataset,
                asset=key.asset,
                reason=kept.failure.reason,
            )
        await self._store(request, kept, claimed=claimed)
        return kept

    def _failed(self, error: ProviderError) -> "_Kept[Any]":
        seconds = self._failure_seconds
        if isinstance(error, SourceBusy):
            seconds = min(seconds, max(1.0, error.retry_after_seconds))
        return _Kept(self._now() + seconds, None, error)

    async def _stored(self, request: "_Request", cache: SharedCache) -> "_Kept[Any] | None":
        """Return what Redis has; an entry that cannot be read, or whose time is over, counts as missing."""
        document: Any = await cache.get(*request.key.parts)
        try:
            # The maker's clock may be ahead of ours; that makes no value last longer.
            until = min(float(document["until"]), self._now() + request.fresh_seconds)
            failed = "failure" in document
            # Years of figures take long enough for Redis to seem silent to whoever asks it meanwhile.
            value = None if failed else await asyncio.to_thread(request.codec.decode, document["value"])
            kept: _Kept[Any] = _Kept(until, value, error_of(document["failure"]) if failed else None)
        except (LookupError, TypeError, ValueError, AttributeError):
            return None
        if until <= self._now():
            return None
        self._keep(request.key, kept)
        return kept

    async def _store(self, request: "_Request", kept: "_Kept[Any]", *, claimed: bool) -> None:
        self._keep(request.key, kept)
        failure = None if kept.failure is None else document_of(kept.failure)
        if kept.failure is not None and failure is None:
            return
        seconds = kept.until - self._now()
        if self._cache is None or seconds <= 0:
            return
        document: dict[str, Any] = {"until": kept.until}
        if failure is None:
            document["value"] = await asyncio.to_thread(request.codec.encode, kept.value)
        else:
            document["failure"] = failure
        stored = await self._cache.put(*request.key.parts, value=document, ttl_seconds=seconds)
        if not stored and claimed:
            await asyncio.sleep(_SILENCE_SECONDS)
            await self._cache.put(*request.key.parts, value=document, ttl_seconds=seconds)

    def _now(self) -> float:
        return self._clock().timestamp()

    def _keep(self, key: ReadKey, kept: _Kept[Any]) -> None:
        if len(self._kept) >= _KEPT:
            now = self._now()
            self._kept = {key: kept for key, kept in self._kept.items() if kept.until > now}
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = kept
