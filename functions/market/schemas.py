"""Answers of `market`."""

import datetime as dt
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from alphapulse.domain.instruments import SYMBOL_PATTERN, Interval

SymbolPath = Annotated[str, Path(pattern=SYMBOL_PATTERN)]


class TickerView(BaseModel):
    """The last price; `stale` when it is older than the platform trades on."""

    symbol: str
    exchange: str
    price: str
    bid: str
    ask: str
    as_of: dt.datetime
    bar_open_time: dt.datetime
    source: str
    stale: bool


class Bar(BaseModel):
    """One candle."""

    open_time: dt.datetime
    open: str
    high: str
    low: str
    close: str
    volume: str


class GapView(BaseModel):
    """Bars that are missing one after the other: open times of the first and last, and how many."""

    model_config = ConfigDict(validate_by_name=True)

    first: Annotated[dt.datetime, Field(alias="from")]
    last: Annotated[dt.datetime, Field(alias="to")]
    missing: int


class Candles(BaseModel):
    """Candles, newest last; `source` is null when there are none of this interval."""

    symbol: str
    interval: Interval
    exchange: str
    source: str | None
    items: list[Bar]
    gaps: list[GapView]


class InstrumentView(BaseModel):
    """What orders in a symbol must keep to."""

    symbol: str
    exchange: str
    base: str
    quote: str
    tick: str
    lot: str
    min_notional: str
    status: str
    source: str


class Instruments(BaseModel):
    """A page of instruments."""

    items: list[InstrumentView]
    next_cursor: str | None
