"""Requests and answers of backtests."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from alphapulse.backtesting.request import MOST_CANDIDATES
from alphapulse.domain.backtest.terms import MAX_FOLDS
from alphapulse.domain.instruments import Interval
from functions.agents.catalogue import AgentName
from functions.agents.schemas import Symbol

BacktestStatus = Literal["waiting", "running", "done", "failed", "cancelled"]
Bps = Annotated[Decimal, Field(ge=0, le=1000, decimal_places=6)]
Values = Annotated[list[int | float], Field(min_length=1, max_length=MOST_CANDIDATES)]


class BacktestAsked(BaseModel):
    """What to walk over and how to trade; amounts and rates may be texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    symbol: Symbol
    interval: Interval
    agent: AgentName
    parameters: Annotated[
        dict[str, Any] | None, Field(description="of the agent; the tenant's own settings if left out")
    ] = None
    start: Annotated[dt.datetime | None, Field(alias="from", description="first open")] = None
    end: Annotated[dt.datetime | None, Field(alias="to", description="last close")] = None
    starting_equity: Annotated[Decimal | None, Field(ge=1, le=10**12, decimal_places=8)] = None
    position_fraction: Annotated[Decimal | None, Field(gt=0, le=1, decimal_places=6)] = None
    fee_bps: Bps | None = None
    slippage_bps: Bps | None = None
    short: bool = False
    folds: Annotated[int, Field(ge=0, le=MAX_FOLDS, description="stretches to walk forward over")] = 0
    grid: Annotated[
        dict[str, Values] | None,
        Field(max_length=4, description="values of parameters to choose from, anew for each fold"),
    ] = None


class BacktestAccepted(BaseModel):
    """Where to watch the backtest."""

    run_id: uuid.UUID
    status_url: str


class BacktestItem(BaseModel):
    """A backtest; `headline` has its main figures once it is done."""

    run_id: uuid.UUID
    agent: AgentName
    symbol: str
    interval: str
    status: BacktestStatus
    reason: str | None
    progress: float
    headline: dict[str, Any] | None
    created_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


class BacktestView(BacktestItem):
    """A backtest with what was asked and, once it is done, its result."""

    request: dict[str, Any]
    result: dict[str, Any] | None
    picture_url: str | None


class Backtests(BaseModel):
    """A page of backtests, newest first."""

    items: list[BacktestItem]
    next_cursor: str | None
