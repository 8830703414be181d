"""Where the command line takes candles and other data from, and which of them it chose."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alphapulse.backtesting.candles import History, from_source, from_store
from alphapulse.backtesting.request import BacktestRequest
from alphapulse.providers.candles import candle_source
from alphapulse.providers.source import SourceKind
from alphapulse.runtime.resources import NotConfigured, Resources
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.tenant import TenantId

STORED: Final = "stored"


class PlaceError(Exception):
    """A source that was asked for is not configured."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where data come from.

    Attributes
    ----------
    resources : Resources
        Of this process.
    candles, providers : str
        The choice, for people.
    read : callable
        Reads candles.
    """

    resources: Resources
    candles: str
    providers: str
    read: Callable[[BacktestRequest, int], Awaitable[History]]

    async def history(self, request: BacktestRequest, *, back: int) -> History:
        """Read candles, and `back` bars before them.

        Raises
        ------
        PlaceError
            The store has no address.
        alphapulse.providers.candles.source.CandleError, NoCandles, TooLarge
        """
        try:
            return await self.read(request, back)
        except NotConfigured as error:
            raise PlaceError(f"candles cannot be read from the store: {error}") from error


def place_of(source: str | None, data_dir: Path | None, provider_data_dir: Path | None) -> Place:
    """Choose: files if there is a directory, else the store if it has an address, else the simulation.

    Parameters
    ----------
    source
        ``directory``, ``stored`` or ``simulated``; the first there is if None.
    data_dir, provider_data_dir
        Instead of MARKET_DATA_DIR and PROVIDER_DATA_DIR.

    Raises
    ------
    InvalidSetting
        The environment has a setting that cannot be read.
    NotADirectoryError
        A directory does not exist.
    """
    settings = Settings.from_environment()
    settings = settings.replace(
        market_data_dir=data_dir or settings.market_data_dir,
        provider_data_dir=provider_data_dir or settings.provider_data_dir,
    )
    name = source or _first(settings)
    if name == SourceKind.SIMULATED:
        # Simulated prices beside a real chain's figures would tell nothing.
        settings = settings.replace(provider_source=SourceKind.SIMULATED.value)
    resources = Resources(settings)
    others = "files" if settings.provider_data_dir is not None else settings.provider_source
    if name == STORED:
        return Place(resources, "the store (DATABASE_URL)", others, _stored(resources))
    directory = settings.market_data_dir if name == SourceKind.DIRECTORY else None
    if name == SourceKind.DIRECTORY and directory is None:
        raise NotADirectoryError("no directory of candle files: give --data-dir or MARKET_DATA_DIR")
    candles = candle_source(directory, settings.simulation_seed, clock=resources.clock)
    chosen = f"files in {directory}" if directory is not None else "the simulation; no real prices"

    async def read(request: BacktestRequest, back: int) -> History:
        return await from_source(candles, request, back=back)

    return Place(resources, chosen, others, read)


def _first(settings: Settings) -> str:
    if settings.market_data_dir is not None:
        return SourceKind.DIRECTORY.value
    return STORED if settings.database_url is not None else SourceKind.SIMULATED.value


def _stored(resources: Resources) -> Callable[[BacktestRequest, int], Awaitable[History]]:
    async def read(request: BacktestRequest, back: int) -> History:
        # Candles belong to no tenant: any transaction sees them, and this one nothing else.
        async with resources.database.tenant(TenantId.new()) as session:
            return await from_store(session, request, back=back)

    return read
