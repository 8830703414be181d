"""Answers about how good the agents have been."""

import datetime as dt
import uuid
from typing import Literal

from pydantic import BaseModel

from functions.agents.catalogue import AgentName
from functions.agents.schemas import Direction

Regime = Literal["trending_up", "trending_down", "ranging", "volatile", "unknown"]
OutcomeStatus = Literal["pending", "scored", "unscorable"]


class RecordView(BaseModel):
    """How good signals were; averages are over the scored ones, null when there is none.

    `average_forward_return` is what prices did after the signals, `average_directed_return` what they did in
    the direction of the signals. `brier` is from 0 to 1, lower is better; always saying 0.5 gives 0.25.
    """

    scored: int
    unscorable: int
    hit_rate: float | None
    average_forward_return: float | None
    average_directed_return: float | None
    average_confidence: float | None
    brier: float | None


class SymbolRecordView(RecordView):
    """How good signals on one symbol were."""

    symbol: str
    pending: int


class RegimeRecordView(RecordView):
    """How good signals in one kind of market were."""

    regime: Regime


class SourceRecordView(RecordView):
    """How good signals were at one source's prices: an exchange's, `directory`, or `simulated`."""

    source: str


class TrackRecordView(RecordView):
    """How good an agent was in all, by symbol (the 50 with most signals), by regime, by source of prices."""

    pending: int
    by_symbol: list[SymbolRecordView]
    by_regime: list[RegimeRecordView]
    by_source: list[SourceRecordView]


class AgentStatusView(BaseModel):
    """Whether a run that names no agents asks it, when it spoke last, with which `version`, and how well."""

    agent: AgentName
    enabled: bool
    version: str | None
    last_signal_at: dt.datetime | None
    last_symbol: str | None
    last_abstained: bool | None
    track_record: TrackRecordView


class StatusView(BaseModel):
    """Status of all agents."""

    agents: list[AgentStatusView]


class OutcomeView(BaseModel):
    """What became of a signal, with the prices and times anyone can check it with.

    `signal_price` is the close of the last bar that had closed at `created_at`, `horizon_price` that of the
    last one at `horizon_at`. `hold_band` is up to which return, either way, to hold was right.
    """

    id: uuid.UUID
    agent: AgentName
    symbol: str
    interval: str
    agent_version: str
    signal: Direction
    confidence: float
    created_at: dt.datetime
    horizon_at: dt.datetime
    status: OutcomeStatus
    reason: str | None
    signal_price: str | None
    signal_price_at: dt.datetime | None
    horizon_price: str | None
    horizon_price_at: dt.datetime | None
    price_source: str | None
    forward_return: str | None
    hold_band: str | None
    hit: bool | None
    brier: str | None
    regime: Regime | None
    scored_at: dt.datetime | None


class Outcomes(BaseModel):
    """A page of outcomes, newest signal first."""

    items: list[OutcomeView]
    next_cursor: str | None
