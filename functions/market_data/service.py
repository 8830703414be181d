"""Bring instruments and candles of a source into PostgreSQL."""

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

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
from alphapulse.providers.candles import (
    CandleError,
    CandleSource,
    CandlesUnavailable,
    Listing,
    as_exchange,
)
from alphapulse.runtime.errors import DependencyDown
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.sending import send
from alphapulse.runtime.trace import Trace
from functions.market_data.continuation import continuation

# One begins every minute. What is left over is taken up by the next one, where it stopped.
_REFRESH_SECONDS: Final = 40.0
# So many questions without an answer, and the others are not asked either.
_MOST_UNANSWERED: Final = 3

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Refresh:
    """What one refresh did.

    Attributes
    ----------
    series, failed : int
        Series looked at, and series that could not be read or stored.
    left : int
        Series that were left for the next refresh, because the source takes no more requests, does not
        answer, or the time was over.
    bars : int
        Bars added or altered.
    events : list of Event
        What is to be told, one for each series that changed.
    """

    series: int = 0
    failed: int = 0
    left: int = 0
    bars: int = 0
    events: list[Event] = field(default_factory=list)
    unanswered: int = 0
    busy: bool = False

    @property
    def given_up(self) -> bool:
        """Whether asking the source goes on to no purpose."""
        return self.busy or self.unanswered >= _MOST_UNANSWERED


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
            series = _in_order(await self._listings(symbols))
            exchange = as_exchange(self._source)
            deadline = None if exchange is None else asyncio.get_running_loop().time() + _REFRESH_SECONDS
            places = asyncio.Semaphore(1 if exchange is None else exchange.facts.parallel)

            async def refresh_one(symbol: str, interval: Interval) -> None:
                async with places:
                    if done.given_up or _passed(deadline):
                        done.left += 1
                        return
                    await self._refresh_series(symbol, interval, done, trace=trace, every_bar=every_bar)

            await _together([refresh_one(symbol, interval) for symbol, interval in series])
            await self._publish(done.events)
        logger.info(
            "market_refreshed", series=done.series, failed=done.failed, left=done.left, bars=done.bars
        )
        return done

    @property
    def _source(self) -> CandleSource:
        return self._resources.candles

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
        except CandlesUnavailable as error:
            logger.warning("market_data_unreadable", error=str(error))
            raise DependencyDown(str(error)) from error
        if not listings and as_exchange(self._source) is not None:
            # No reason to halt everything: rather the list of symbols is wrong, or the answer was.
            raise DependencyDown(f"{self._source.name} lists none of the chosen symbols")
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
            if isinstance(error, CandlesUnavailable):
                done.unanswered += 1
                done.busy = done.busy or error.busy
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
        wanted = await continuation(
            self._source, symbol, interval, stored=stored, every_bar=every_bar, now=self._resources.clock()
        )
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


def _in_order(listings: Iterable[Listing]) -> list[tuple[str, Interval]]:
    """Return every series, the finest bars of all symbols first: they are the ones that age soonest."""
    series = [(listing.instrument.symbol, interval) for listing in listings for interval in listing.intervals]
    return sorted(series, key=lambda one: one[1].seconds)


def _passed(deadline: float | None) -> bool:
    return deadline is not None and asyncio.get_running_loop().time() > deadline


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of them; when one fails, none of the others goes on behind the caller's back."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
