"""The data sources of a process, by dataset."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from alphapulse.domain.agents.evidence import DailySeries, Dataset, Governance, PostSample
from alphapulse.domain.signals import SignalInput
from alphapulse.providers.candles.source import Clock
from alphapulse.providers.codecs import Codec, TableCodec
from alphapulse.providers.documents import GovernanceCodec, OnChainCodec, PostsCodec, SupplyCodec
from alphapulse.providers.errors import AssetUnknown, NotConfigured, ProviderError
from alphapulse.providers.shared_reads import Observer, ReadKey, SharedReads
from alphapulse.providers.source import (
    AnySource,
    BatchSource,
    PartialSource,
    ProviderOptions,
    SourceContext,
    SourceKind,
)
from alphapulse.tenancy.cache import CacheConnection

Value = TypeVar("Value")

#: For how long an answer is fresh.
FRESH_SECONDS: Final[Mapping[Dataset, float]] = {
    Dataset.ON_CHAIN: 3600.0,
    Dataset.SUPPLY: 300.0,
    Dataset.POSTS: 300.0,
    Dataset.GOVERNANCE: 900.0,
}

# Holders change slowly, and the service allows a hundred requests an hour.
_FRESH_SECONDS_OF_SOURCE: Final[Mapping[str, float]] = {"ethplorer": 6 * 3600.0}
# What a source that answers about all assets at once is read under.
_ALL: Final = "all"
_ASSET: Final = re.compile(r"[A-Z0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Wiring(Generic[Value]):
    """How one dataset is obtained: its sources, and how what several of them gave becomes one."""

    dataset: Dataset
    sources: Sequence[AnySource[Value]]
    merge: Callable[[Sequence[Value], Mapping[str, str]], Value]
    codec: Codec[Value]


class Providers:
    """On-chain series, supply, posts and governance of base assets.

    Each method asks all sources of its dataset that know the asset, and returns what they gave together;
    it raises only when none gave anything. What the real services answered is shared by all tenants and
    processes (see :mod:`alphapulse.providers.shared_reads`), what the simulation makes by all of a process.

    Parameters
    ----------
    options
        Which sources are used.
    cache
        The cache Redis.
    clock
        Aware UTC now.
    observer
        Counts questions and reads.
    """

    def __init__(
        self, options: ProviderOptions, *, cache: CacheConnection, clock: Clock, observer: Observer
    ) -> None:
        self._context = SourceContext(options, cache, clock=clock)
        live = options.kind is SourceKind.LIVE
        self._reads = SharedReads(cache if live else None, clock=clock, observer=observer)
        self._observer = observer
        # Files are at hand, and a changed one holds at once.
        self._shares = options.kind is not SourceKind.DIRECTORY
        self._merged: dict[tuple[Dataset, str], tuple[Sequence[Any], Mapping[str, str], Any]] = {}

    async def on_chain(
        self, asset: str, *, missing: MutableMapping[str, str] | None = None
    ) -> Mapping[str, DailySeries]:
        """Return daily series of a base asset by name.

        Parameters
        ----------
        asset
            The base currency (``BTC``).
        missing
            Where to note, as ``on_chain.<source>``, why some of several sources gave nothing.

        Raises
        ------
        ProviderError
            No source gave anything.
        """
        return await self._obtain(self._on_chain, asset, missing)

    async def supply(
        self, asset: str, *, missing: MutableMapping[str, str] | None = None
    ) -> Mapping[str, SignalInput]:
        """Return single present figures of a base asset by name; as :meth:`on_chain`."""
        return await self._obtain(self._supply, asset, missing)

    async def posts(self, asset: str) -> PostSample:
        """Return posts about a base asset, which name the networks that are missing; as :meth:`on_chain`."""
        return await self._obtain(self._posts, asset, None)

    async def governance(self, asset: str) -> Governance:
        """Return proposals about a base asset, which name the platforms that are missing; as above."""
        return await self._obtain(self._governance, asset, None)

    async def close(self) -> None:
        """Close the connections."""
        await self._context.close()

    # Each imports what it needs only when it is asked for: a process reads one or two of the datasets.

    @cached_property
    def _on_chain(self) -> _Wiring[Mapping[str, DailySeries]]:
        from alphapulse.providers import on_chain  # noqa: PLC0415 - see above

        return _Wiring(Dataset.ON_CHAIN, on_chain.sources(self._context), on_chain.merge, OnChainCodec())

    @cached_property
    def _supply(self) -> _Wiring[Mapping[str, SignalInput]]:
        from alphapulse.providers import supply  # noqa: PLC0415 - see above

        return _Wiring(Dataset.SUPPLY, supply.sources(self._context), supply.merge, SupplyCodec())

    @cached_property
    def _posts(self) -> _Wiring[PostSample]:
        from alphapulse.providers import social  # noqa: PLC0415 - see above

        return _Wiring(Dataset.POSTS, social.sources(self._context), social.merge, PostsCodec())

    @cached_property
    def _governance(self) -> _Wiring[Governance]:
        from alphapulse.providers import governance  # noqa: PLC0415 - see above

        return _Wiring(
            Dataset.GOVERNANCE, governance.sources(self._context), governance.merge, GovernanceCodec()
        )

    async def _obtain(
        self, wiring: _Wiring[Value], asset: str, missing: MutableMapping[str, str] | None
    ) -> Value:
        known = _ASSET.fullmatch(asset) is not None
        asked = [source for source in wiring.sources if known and source.covers(asset)]
        if not asked:
            raise AssetUnknown(f"no source of {_words(wiring.dataset)} knows {asset[:15]!r}")
        outcomes = await asyncio.gather(
            *(self._read(wiring, source, asset) for source in asked), return_exceptions=True
        )
        parts: list[Value] = []
        failures: dict[str, ProviderError] = {}
        for source, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, ProviderError):
                failures[source.name] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                parts.append(outcome)
        if not parts:
            raise _worst(list(failures.values()))
        reasons = {name: error.reason for name, error in failures.items()}
        if missing is not None:
            missing.update({f"{wiring.dataset}.{name}": reason for name, reason in reasons.items()})
        return self._merged_once(wiring, asset, parts, reasons)

    def _merged_once(
        self, wiring: _Wiring[Value], asset: str, parts: Sequence[Value], reasons: Mapping[str, str]
    ) -> Value:
        # The very same parts give the very same object: whoever keeps what was made from it can tell.
        known = self._merged.get((wiring.dataset, asset))
        if known is None or [*map(id, known[0])] != [*map(id, parts)] or known[1] != reasons:
            known = self._merged[wiring.dataset, asset] = (parts, reasons, wiring.merge(parts, reasons))
        merged: Value = known[2]
        return merged

    async def _read(self, wiring: _Wiring[Value], source: AnySource[Value], asset: str) -> Value:
        if isinstance(source, BatchSource):
            table = await self._share(
                wiring.dataset, source, _ALL, source.fetch_all, TableCodec(wiring.codec)
            )
            if asset not in table:
                raise AssetUnknown(f"{source.name} gave nothing about {asset}")
            return table[asset]
        return await self._share(wiring.dataset, source, asset, lambda: source.fetch(asset), wiring.codec)

    async def _share(
        self,
        dataset: Dataset,
        source: AnySource[Any],
        asset: str,
        load: Callable[[], Awaitable[Value]],
        codec: Codec[Value],
    ) -> Value:
        if self._shares:
            key = ReadKey(source.name, dataset.value, asset)
            fresh_seconds = _FRESH_SECONDS_OF_SOURCE.get(source.name, FRESH_SECONDS[dataset])
            is_whole = source.is_whole if isinstance(source, PartialSource) else lambda _: True
            return await self._reads.read(
                key, load, codec=codec, fresh_seconds=fresh_seconds, is_whole=is_whole
            )
        try:
            value = await load()
        except ProviderError as error:
            self._observer.fetched(source.name, dataset.value, error.outcome)
            raise
        self._observer.fetched(source.name, dataset.value, "ok")
        return value


def _worst(failures: Sequence[ProviderError]) -> ProviderError:
    """Return the failure to raise, with the reasons of all: one that may pass rather than a missing key."""
    telling = [error for error in failures if not isinstance(error, NotConfigured)] or list(failures)
    return telling[0].again("; ".join(dict.fromkeys(error.reason for error in failures)))


def _words(dataset: Dataset) -> str:
    return f"{dataset.value.replace('_', '-')} data"


__all__ = ["FRESH_SECONDS", "ProviderOptions", "Providers", "SourceKind"]
