"""Requests and answers of `agents`."""

import datetime as dt
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from alphapulse.domain.instruments import SYMBOL_PATTERN, Interval
from functions.agents.catalogue import AgentName

Symbol = Annotated[str, Field(pattern=SYMBOL_PATTERN)]
Direction = Literal["buy", "sell", "hold"]
TaskStatus = Literal["waiting", "running", "done", "abstained", "failed"]


def distinct(values: list[Any]) -> list[Any]:
    """Return the values without repetitions, in the order given."""
    return list(dict.fromkeys(values))


class _Request(BaseModel):
    # Unknown fields are refused, so that a typing error is not ignored.
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunRequest(_Request):
    """Which agents to ask about which symbols; what is left out comes from the tenant's settings."""

    symbols: Annotated[list[Symbol], Field(min_length=1, max_length=20), AfterValidator(distinct)]
    agents: Annotated[list[AgentName], Field(min_length=1, max_length=6), AfterValidator(distinct)] | None = (
        None
    )
    interval: Interval | None = None
    deadline_seconds: Annotated[int, Field(ge=10, le=300, strict=True)] = 300


class AgentChange(_Request):
    """New settings of one agent; what is left out stays, `parameters` are replaced as a whole."""

    agent: AgentName
    enabled: bool | None = None
    weight: Annotated[Decimal, Field(ge=0, le=1, max_digits=7, decimal_places=6)] | None = None
    parameters: dict[str, Any] | None = None


class ConfigRequest(_Request):
    """New settings of some agents, taken over together or not at all."""

    agents: Annotated[list[AgentChange], Field(min_length=1, max_length=6)]


class RunAccepted(BaseModel):
    """Where to watch the run."""

    run_id: uuid.UUID
    status_url: str


class TaskView(BaseModel):
    """One agent's part in a run."""

    agent: AgentName
    symbol: str
    status: TaskStatus
    reason: str | None
    started_at: dt.datetime | None
    finished_at: dt.datetime | None


class RunView(BaseModel):
    """A run; `failed` with a reason when an agent did not answer in time.

    `tick_at` is the close of the bar for which the schedule began the run; null for one that a user began.
    """

    run_id: uuid.UUID
    status: Literal["running", "done", "failed"]
    reason: str | None
    interval: str
    origin: Literal["user", "schedule"]
    tick_at: dt.datetime | None
    symbols: list[str]
    agents: list[TaskView]
    created_at: dt.datetime
    deadline_at: dt.datetime
    finished_at: dt.datetime | None


class Runs(BaseModel):
    """A page of runs, newest first; fewer than asked for when they have many tasks."""

    items: list[RunView]
    next_cursor: str | None


class SignalInputView(BaseModel):
    """A figure a signal was made from."""

    name: str
    value: float | str | None
    as_of: dt.datetime
    source: str


class SignalView(BaseModel):
    """An agent's signal; one that abstained has no score and no confidence.

    `config_version` is that of the tenant's settings, 0 for the product's own. `evidence_digest` names, in
    hexadecimal, what the agent read. `horizon_at` is when the signal can be judged; null for an abstention.
    """

    id: uuid.UUID
    run_id: uuid.UUID
    agent: AgentName
    symbol: str
    interval: str | None
    signal: Direction
    score: float | None
    confidence: float | None
    reasons: list[str]
    inputs: list[SignalInputView]
    abstained: bool
    agent_version: str
    config_version: int | None
    evidence_digest: str | None
    horizon_at: dt.datetime | None
    created_at: dt.datetime
    expires_at: dt.datetime


class Signals(BaseModel):
    """A page of signals, newest first."""

    items: list[SignalView]
    next_cursor: str | None


class ConsensusView(BaseModel):
    """What the agents of a run said together about a symbol.

    `inputs` are the weights and thresholds it was reached with, the ids of the signals, and who was silent.
    """

    id: uuid.UUID
    run_id: uuid.UUID
    symbol: str
    signal: Direction
    score: float
    quorum: bool
    reasons: list[str]
    contributions: list[dict[str, Any]]
    inputs: dict[str, Any] | None
    created_at: dt.datetime


class ConsensusPage(BaseModel):
    """A page of consensus signals, newest first."""

    items: list[ConsensusView]
    next_cursor: str | None


class ParameterView(BaseModel):
    """What one parameter means and may be; `whole` when only whole numbers are taken."""

    meaning: str
    unit: str | None
    default: int | float | str
    least: float | None = None
    most: float | None = None
    whole: bool | None = None
    choices: list[str] | None = None


class AgentConfigView(BaseModel):
    """Settings in force; version 0 is the product's own."""

    agent: AgentName
    enabled: bool
    weight: float
    parameters: dict[str, Any]
    bounds: dict[str, ParameterView]
    version: int
    updated_at: dt.datetime | None


class ConfigView(BaseModel):
    """Settings of all agents, and how many the tier includes."""

    agents: list[AgentConfigView]
    agents_limit: int
