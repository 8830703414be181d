"""Candles and last prices, from a directory of files or from a simulation that says so.

The implementations are imported only when chosen: the simulation needs numpy, the directory does not.
"""

from pathlib import Path

from alphapulse.providers.candles.source import (
    BrokenCandleFile,
    CandleBatch,
    CandleError,
    CandleSource,
    Clock,
    FileProblem,
    IntervalUnavailable,
    Listing,
    Ticker,
    UnknownSymbol,
    utc_now,
)

__all__ = [
    "BrokenCandleFile",
    "CandleBatch",
    "CandleError",
    "CandleSource",
    "Clock",
    "FileProblem",
    "IntervalUnavailable",
    "Listing",
    "Ticker",
    "UnknownSymbol",
    "candle_source",
    "utc_now",
]


def candle_source(market_data_dir: Path | None, seed: int, *, clock: Clock = utc_now) -> CandleSource:
    """Choose where candles come from.

    Parameters
    ----------
    market_data_dir : Path or None
        A directory of candle files; none simulates.
    seed : int
        Of the simulation; the same seed always gives the same bars.
    clock : callable
        Tells the simulation which bars have closed.

    Returns
    -------
    CandleSource
        Its ``name`` is ``directory`` or ``simulated``, and every answer repeats it.

    Raises
    ------
    NotADirectoryError
        When the path is no directory.
    """
    if market_data_dir is None:
        from alphapulse.providers.candles.simulated import SimulatedCandles  # noqa: PLC0415 - needs numpy

        return SimulatedCandles(seed, clock=clock)
    from alphapulse.providers.candles.directory import DirectoryCandles  # noqa: PLC0415 - only if chosen

    return DirectoryCandles(market_data_dir)
