"""Bring instruments and candles of a source into PostgreSQL."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property

import structlog

from alphapulse.data import outbox
from alphapulse.data.errors import ConstraintViolated
from alphapulse.domain.candles import InvalidCandle
from alphapulse.domain.instruments import Interval
from alphapulse.events import Event, event_type, schemas
from alphapulse.market.series import PAPER, drop_series
from alphapulse.market.tickers import drop_ticker
from alphapulse.market.writing import (
    Changes,
    delete_series,
    halt_missing,
    newest_bar,
    upsert_candles,
    upsert_instrument,
)
from alphapulse.providers.candles import CandleError, CandleSource, Listing, candle_source
from alphapulse.runtime.errors import DependencyDown
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.sending import send
from alphapulse.runtime.trace import Trace
from functions.market_data.continuation import continuation

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Refresh:
    """What one refresh did.

    Attributes
    ----------
    series, failed : int
        Series looked at, and series that could not be read or stored.
    bars : int
        Bars added or altered.
    events : list of Event
        What is to be told, one for each series that changed.
    """

    series: int = 0
    failed: int = 0
    bars: int = 0
    events: list[Event] = field(default_factory=list)


class MarketData:
    """Refreshes stored market data from the configured source; one refresh at a time."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._turn = asyncio.Lock()

    async def refresh(
        self, trace: Trace, *, symbols: Collection[str] = (), every_bar: bool = False
    ) -> Refresh:
        """Store what the source has and PostgreSQL has not.

        Parameters
        ----------
        trace : Trace
            Carried on by the events.
        symbols : collection of str
            Only these; all when empty.
        every_bar : bool
            Compare every bar of the source with what is stored, not only those after the newest stored one.

        Returns
        -------
        Refresh
            A series that is broken is counted, logged, and does not stop the others.
        """
        async with self._turn:
            done = Refresh()
            for listing in await self._listings(symbols):
                for interval in listing.intervals:
                    symbol = listing.instrument.symbol
                    await self._refresh_series(symbol, interval, done, trace=trace, every_bar=every_bar)
            await self._publish(done.events)
        logger.info("market_refreshed", series=done.series, failed=done.failed, bars=done.bars)
        return done

    @cached_property
    def _source(self) -> CandleSource:
        settings = self._resources.settings
        return candle_source(settings.market_data_dir, settings.simulation_seed, clock=self._resources.clock)

    async def _listings(self, symbols: Collection[str]) -> list[Listing]:
        """Store the instruments of the source, and return those that are asked for.

        Raises
        ------
        DependencyDown
            The source cannot be read at all.
        """
        try:
            listings = await self._source.instruments()
        except OSError as error:
            logger.warning("market_data_unreadable", error=str(error))
            raise DependencyDown("the directory of candle files cannot be read") from error
        now = self._resources.clock()
        async with self._resources.platform.session() as session:
            for listing in listings:
                await upsert_instrument(session, listing.instrument, source=self._source.name, now=now)
            known = [listing.instrument.symbol for listing in listings]
            halted = await halt_missing(session, known, now=now)
        if halted:
            logger.warning("instruments_halted", symbols=halted, reason="the source no longer has them")
        return [listing for listing in listings if not symbols or listing.instrument.symbol in symbols]

    async def _refresh_series(
        self, symbol: str, interval: Interval, done: Refresh, *, trace: Trace, every_bar: bool
    ) -> None:
        done.series += 1
        try:
            event = await self._store_series(symbol, interval, trace=trace, every_bar=every_bar)
        except (CandleError, InvalidCandle, ConstraintViolated) as error:
            done.failed += 1
            logger.warning("series_not_refreshed", symbol=symbol, interval=interval.value, error=str(error))
            return
        if event is None:
            return
        done.bars += event.data["count"]
        done.events.append(event)
        cache = self._resources.cache.market()
        await drop_series(cache, symbol, interval)
        await drop_ticker(cache, symbol)

    async def _store_series(
        self, symbol: str, interval: Interval, *, trace: Trace, every_bar: bool
    ) -> Event | None:
        async with self._resources.platform.session() as session:
            stored = await newest_bar(session, symbol, interval)
        wanted = await continuation(self._source, symbol, interval, stored=stored, every_bar=every_bar)
        async with self._resources.platform.session() as session:
            if wanted.replaces:
                await delete_series(session, symbol, interval)
            changes = await upsert_candles(
                session,
                symbol,
                interval,
                candles=wanted.candles,
                source=self._source.name,
                now=self._resources.clock(),
            )
            if changes is None:
                return None
            event = self._updated(symbol, interval, changes, trace=trace)
            await outbox.enqueue(session, event)
        return event

    def _updated(self, symbol: str, interval: Interval, changes: Changes, *, trace: Trace) -> Event:
        name = "market.candles.updated"
        data = {
            "exchange": PAPER,
            "symbol": symbol,
            "interval": interval.value,
            "from": changes.first.isoformat(),
            "to": changes.last.isoformat(),
            "count": changes.bars,
            "source": self._source.name,
        }
        schemas.validate(name, data)
        return Event(
            type=event_type(name),
            source="/functions/market-data",
            data=data,
            time=self._resources.clock(),
            extensions={"symbol": symbol, "partitionkey": symbol, "traceparent": trace.traceparent},
        )

    async def _publish(self, events: list[Event]) -> None:
        sent = await send(self._resources.publisher, events)
        if sent:
            async with self._resources.platform.session() as session:
                await outbox.mark_sent(session, sent)
