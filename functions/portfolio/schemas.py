"""Answers of `portfolio`."""

import datetime as dt

from pydantic import BaseModel


class PositionView(BaseModel):
    """What is held of one symbol, at the last price; `average_price` includes purchase fees."""

    symbol: str
    exchange: str
    quantity: str
    average_price: str
    last_price: str | None
    price_as_of: dt.datetime | None
    market_value: str | None
    realised_pnl: str
    unrealised_pnl: str | None
    stale: bool


class PositionList(BaseModel):
    """All positions, in order of symbol."""

    items: list[PositionView]
    next_cursor: str | None


class PortfolioView(BaseModel):
    """A tenant's figures; a figure that needs a missing price is null."""

    equity: str | None
    cash: dict[str, str]
    positions: list[PositionView]
    realised_pnl: str | None
    unrealised_pnl: str | None
    day_pnl: str | None
    leverage: str | None
    as_of: dt.datetime
    currency: str
    stale: bool
    missing: list[str]


class SnapshotView(BaseModel):
    """The last figures of one interval, which begins at `bucket`."""

    bucket: dt.datetime
    at: dt.datetime
    equity: str
    cash: str
    realised_pnl: str
    unrealised_pnl: str
    leverage: str
    stale: bool


class History(BaseModel):
    """Figures over time, oldest first; intervals in which nothing changed are left out."""

    interval: str
    items: list[SnapshotView]
    next_cursor: str | None
