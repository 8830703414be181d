"""Tickers, candles and instruments as answers."""

import datetime as dt
from decimal import Decimal

import structlog

from alphapulse.domain.candles import Candle, Gap
from alphapulse.domain.instruments import Instrument, Interval
from alphapulse.domain.money import decimal_text
from alphapulse.domain.orders import Side
from alphapulse.domain.paper import PaperTerms, touch_price
from alphapulse.market.instruments import ListedInstrument, instruments, unknown_symbols
from alphapulse.market.series import PAPER, Series, cached_series, read_series
from alphapulse.market.tickers import quote, read_ticker
from alphapulse.providers.candles import CandleError, Ticker, UnknownSymbol
from alphapulse.runtime.errors import DependencyDown, NotFound
from alphapulse.runtime.resources import Resources
from alphapulse.runtime.work import Scope, TenantWork
from functions.market.schemas import Bar, Candles, GapView, Instruments, InstrumentView, TickerView

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class Unlisted(NotFound):
    """There is no instrument of this symbol."""

    code = "unknown_symbol"
    title = "Unknown symbol"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"there is no instrument {symbol}", extra={"symbols": [symbol]})


class Market:
    """What the routes answer from: the source of prices, the shared cache, PostgreSQL."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._settings = resources.settings

    async def ticker(self, scope: Scope, symbol: str) -> TickerView:
        """Return the last price.

        Raises
        ------
        Unlisted
            The source has no such symbol.
        DependencyDown
            The source cannot be read.
        """
        now = scope.now
        try:
            # Made with the first ticker: what a source needs is no business of a cold start.
            source = self._resources.candles
            ticker = await read_ticker(source, scope.market_cache, symbol, now=now)
            instrument = await source.instrument(symbol)
        except UnknownSymbol as error:
            raise Unlisted(symbol) from error
        except (CandleError, OSError) as error:
            logger.warning("market_data_unreadable", symbol=symbol, error=str(error))
            raise DependencyDown(f"the market data of {symbol} cannot be read") from error
        return TickerView(
            symbol=symbol,
            exchange=PAPER,
            price=decimal_text(ticker.price),
            bid=decimal_text(self._touch(Side.SELL, ticker, instrument)),
            ask=decimal_text(self._touch(Side.BUY, ticker, instrument)),
            as_of=ticker.as_of,
            bar_open_time=ticker.bar_open_time,
            source=ticker.source,
            stale=quote(ticker).is_stale(now, dt.timedelta(seconds=self._settings.price_max_age_seconds)),
        )

    def _touch(self, side: Side, ticker: Ticker, instrument: Instrument) -> Decimal:
        # What the paper exchange fills a market order at, with the spread this platform is set to.
        terms = PaperTerms(half_spread_bps=self._settings.paper_half_spread_bps)
        return touch_price(side, ticker.price, instrument=instrument, terms=terms)


async def candles(scope: Scope, symbol: str, interval: Interval, *, limit: int) -> Candles:
    """Return the newest bars; a database transaction is opened on a cache miss only.

    Raises
    ------
    Unlisted
        There is no such instrument.
    """
    series = await cached_series(scope.market_cache, symbol, interval, limit=limit)
    if series is None:
        async with scope.transaction() as work:
            series = await read_series(work.session, scope.market_cache, symbol, interval, limit=limit)
            if series is None and await unknown_symbols(work.session, [symbol]):
                raise Unlisted(symbol)
    return _candles(symbol, interval, series)


async def instrument_page(work: TenantWork, *, limit: int, after: str) -> Instruments:
    """Return instruments in alphabetical order; the cursor is the last symbol of a page."""
    found = await instruments(work.session, after=after, limit=limit + 1)
    page = found[:limit]
    return Instruments(
        items=[_instrument(listed) for listed in page],
        next_cursor=page[-1].instrument.symbol if len(found) > limit else None,
    )


def _candles(symbol: str, interval: Interval, series: Series | None) -> Candles:
    return Candles(
        symbol=symbol,
        interval=interval,
        exchange=PAPER,
        source=series.source if series else None,
        items=[_bar(candle) for candle in series.candles] if series else [],
        gaps=[_gap(gap) for gap in series.gaps] if series else [],
    )


def _bar(candle: Candle) -> Bar:
    return Bar(
        open_time=candle.open_time,
        open=decimal_text(candle.open),
        high=decimal_text(candle.high),
        low=decimal_text(candle.low),
        close=decimal_text(candle.close),
        volume=decimal_text(candle.volume),
    )


def _gap(gap: Gap) -> GapView:
    return GapView(first=gap.first_missing, last=gap.last_missing, missing=gap.count)


def _instrument(listed: ListedInstrument) -> InstrumentView:
    instrument = listed.instrument
    return InstrumentView(
        symbol=instrument.symbol,
        exchange=PAPER,
        base=instrument.base,
        quote=instrument.quote,
        tick=decimal_text(instrument.tick),
        lot=decimal_text(instrument.lot),
        min_notional=decimal_text(instrument.min_notional),
        status=listed.status,
        source=listed.source,
    )
