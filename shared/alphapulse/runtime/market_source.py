"""Which source of candles and prices the settings of a function choose."""

from alphapulse.providers.candles import CandleSource, Clock, Exchange, candle_source
from alphapulse.runtime.metrics import SourceCounts
from alphapulse.runtime.settings import Settings
from alphapulse.tenancy.cache import CacheConnection

SIMULATED = "simulated"


def market_source(settings: Settings, *, cache: CacheConnection, clock: Clock) -> CandleSource:
    """Return the source: a directory of files if one is set, else an exchange or the simulation.

    Parameters
    ----------
    settings
        Of the function.
    cache
        Where the platform's budget for an exchange is counted.
    clock
        Aware UTC now.
    """
    name, exchange = settings.market_data_source, None
    if name != SIMULATED:
        exchange = Exchange(
            name=name,
            symbols=settings.market_symbols,
            base_url=getattr(settings, f"{name}_url"),
            cache=cache,
            observer=SourceCounts(),
        )
    return candle_source(settings.market_data_dir, settings.simulation_seed, clock=clock, exchange=exchange)
