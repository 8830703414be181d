"""Write instruments and candles; only `market_data` does, with the platform's role."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from alphapulse.data.session import Session
from alphapulse.domain.candles import Candle, InvalidCandle
from alphapulse.domain.instruments import Instrument, Interval
from alphapulse.domain.money import MAX_INTEGER_DIGITS
from alphapulse.market.series import PAPER
from alphapulse.market.statements import sql

_BATCH_BARS: Final = 5_000
_TOO_LARGE: Final = Decimal(10) ** MAX_INTEGER_DIGITS


@dataclass(frozen=True, slots=True)
class StoredBar:
    """The newest stored bar of a series: when it opened, its close, and where the series comes from."""

    open_time: dt.datetime
    close: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Bars that were added or altered: how many, and the open times of the first and last."""

    bars: int
    first: dt.datetime
    last: dt.datetime


async def newest_bar(
    session: Session, symbol: str, interval: Interval, *, exchange: str = PAPER
) -> StoredBar | None:
    """Return the newest stored bar of a series."""
    row = await sql.newest_bar(session, exchange=exchange, symbol=symbol, interval=interval.value)
    return None if row is None else StoredBar(row["open_time"], row["close"], row["source"])


async def delete_series(session: Session, symbol: str, interval: Interval, *, exchange: str = PAPER) -> None:
    """Delete all bars of a series."""
    await sql.delete_series(session, exchange=exchange, symbol=symbol, interval=interval.value)


async def upsert_candles(
    session: Session,
    symbol: str,
    interval: Interval,
    *,
    candles: Sequence[Candle],
    source: str,
    now: dt.datetime,
    exchange: str = PAPER,
) -> Changes | None:
    """Insert bars and overwrite those that differ; None when everything was there already.

    Raises
    ------
    InvalidCandle
        A price or volume has too many digits to be stored; sums over finer bars may.
    """
    for candle in candles:
        if candle.high >= _TOO_LARGE or candle.volume >= _TOO_LARGE:
            raise InvalidCandle(f"a figure of the bar of {candle.open_time.isoformat()} is too large")
    changed: list[Changes] = []
    for batch in _batches(candles):
        row = await sql.upsert_candles(
            session,
            exchange=exchange,
            symbol=symbol,
            interval=interval.value,
            source=source,
            updated_at=now,
            open_times=[candle.open_time for candle in batch],
            opens=[str(candle.open) for candle in batch],
            highs=[str(candle.high) for candle in batch],
            lows=[str(candle.low) for candle in batch],
            closes=[str(candle.close) for candle in batch],
            volumes=[str(candle.volume) for candle in batch],
        )
        if row["bars"]:
            changed.append(Changes(row["bars"], row["first"], row["last"]))
    if not changed:
        return None
    return Changes(
        bars=sum(part.bars for part in changed),
        first=min(part.first for part in changed),
        last=max(part.last for part in changed),
    )


async def upsert_instrument(
    session: Session, instrument: Instrument, *, source: str, now: dt.datetime, exchange: str = PAPER
) -> None:
    """Insert an instrument, or bring its rules up to date."""
    await sql.upsert_instrument(
        session,
        exchange=exchange,
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        tick=instrument.tick,
        lot=instrument.lot,
        min_notional=instrument.min_notional,
        source=source,
        updated_at=now,
    )


async def halt_missing(
    session: Session, symbols: Sequence[str], *, now: dt.datetime, exchange: str = PAPER
) -> list[str]:
    """Mark the instruments outside `symbols` as halted, and return them."""
    rows = sql.halt_missing(session, exchange=exchange, symbols=list(symbols), updated_at=now)
    return sorted([row["symbol"] async for row in rows])


def _batches(candles: Sequence[Candle]) -> Iterator[Sequence[Candle]]:
    for start in range(0, len(candles), _BATCH_BARS):
        yield candles[start : start + _BATCH_BARS]
