"""What a source of one dataset is, and what it is built from."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from alphapulse.providers.budget import Pace, SourceBudget
from alphapulse.providers.candles.source import Clock
from alphapulse.providers.errors import NotConfigured
from alphapulse.providers.transport import SourceClient
from alphapulse.tenancy.cache import CacheConnection

Data_co = TypeVar("Data_co", covariant=True)


class SourceKind(StrEnum):
    """Where data comes from; the first and last are also the source every figure of theirs names."""

    DIRECTORY = "directory"
    LIVE = "live"
    SIMULATED = "simulated"


class Source(Protocol[Data_co]):
    """A source of one dataset.

    Attributes
    ----------
    name : str
        Of the service, in snake_case; ``directory`` or ``simulated`` for what is none.
    """

    @property
    def name(self) -> str:
        """Name, as above."""

    def covers(self, asset: str) -> bool:
        """Tell, without asking anybody, whether it may have data of a base asset (``BTC``)."""

    async def fetch(self, asset: str) -> Data_co:
        """Return what there is about an asset.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
            There is nothing, for the reason in its text.
        """


@runtime_checkable
class BatchSource(Protocol[Data_co]):
    """A source that answers about all its assets at once, for one request."""

    @property
    def name(self) -> str:
        """Name, as of any source."""

    def covers(self, asset: str) -> bool:
        """Tell, without asking anybody, whether it may have data of a base asset."""

    async def fetch_all(self) -> Mapping[str, Data_co]:
        """Return what there is about each asset; raises as :meth:`Source.fetch`."""


@runtime_checkable
class PartialSource(Protocol):
    """A source whose answer may lack a part, because it asks for each by itself."""

    def is_whole(self, value: Any) -> bool:
        """Tell whether what `fetch` returned is all there is."""


#: Either kind.
AnySource: TypeAlias = Source[Data_co] | BatchSource[Data_co]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """Which sources are used.

    Attributes
    ----------
    kind : SourceKind
        Files, the real services, or a simulation.
    directory : Path or None
        Of the files.
    seed : int
        Of the simulation.
    addresses : mapping of source to address
        Instead of the services' own.
    keys : mapping of source to key
        Of those services for which one is set; never printed.
    """

    kind: SourceKind
    directory: Path | None = None
    seed: int = 0
    addresses: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


class SourceContext:
    """What the sources of a process are built from.

    Parameters
    ----------
    options
        Which sources are used.
    connection
        The cache Redis, where budgets are counted.
    clock
        Aware UTC now.
    """

    def __init__(self, options: ProviderOptions, connection: CacheConnection, *, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self._connection = connection
        self._clients: list[SourceClient] = []

    @property
    def now(self) -> dt.datetime:
        """The time; aware, UTC."""
        return self.clock()

    @property
    def directory(self) -> Path:
        """Of the data files.

        Raises
        ------
        NotConfigured
            There is none.
        """
        if self.options.directory is None:
            raise NotConfigured("no directory of data files is set")
        return self.options.directory

    def key_of(self, source: str) -> str | None:
        """Return the key for a service; None when none is set."""
        return self.options.keys.get(source)

    def address_of(self, source: str, default: str) -> str:
        """Return the address of a service: the set one, or else its own."""
        return self.options.addresses.get(source, default)

    def client(
        self, source: str, default_url: str, *, pace: Pace, headers: Mapping[str, str] | None = None
    ) -> SourceClient:
        """Return a client of a service within a budget, closed with the process.

        Parameters
        ----------
        source
            Its name.
        default_url
            Scheme and host, unless another is set.
        pace
            How fast the whole platform asks it at most.
        headers
            Sent with every request.
        """
        client = SourceClient(
            source,
            self.address_of(source, default_url),
            budget=SourceBudget(self._connection, source, pace=pace),
            clock=self.clock,
            headers=headers,
        )
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close the connections of all clients."""
        while self._clients:
            await self._clients.pop().close()
