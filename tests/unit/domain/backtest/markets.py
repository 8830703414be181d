"""Candles and agents for tests of backtests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Bars, Dataset, Evidence
from alphapulse.domain.agents.parameters import Parameters, parameter
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import price_series
from alphapulse.domain.signals import Abstention, AgentVoice, Signal

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def bars_of(prices: Sequence[tuple[str, str]], *, missing: frozenset[int] = frozenset()) -> list[Candle]:
    """Daily bars of opens and closes; days that are missing have no bar."""
    days = (day for day in range(10**6) if day not in missing)
    return [bar(START + next(days) * DAY, opened, closed) for opened, closed in prices]


def bar(open_time: datetime, opened: str, closed: str) -> Candle:
    prices = Decimal(opened), Decimal(closed)
    return Candle(open_time, prices[0], max(prices), min(prices), prices[1], Decimal(1))


def random_bars(count: int, seed: int, *, missing: frozenset[int] = frozenset()) -> list[Candle]:
    """A random walk whose opens are not the closes before."""
    steps = np.random.default_rng(seed).normal(0.0, 0.03, (count, 2))
    closes = 100.0 * np.exp(np.cumsum(steps[:, 0]))
    opens = closes * np.exp(steps[:, 1])
    prices = [(f"{a:.4f}", f"{b:.4f}") for a, b in zip(opens.tolist(), closes.tolist(), strict=True)]
    return bars_of(prices, missing=missing)


def evidence_of(candles: Sequence[Candle], **more: Any) -> Evidence:
    """Everything there is about a symbol, with these bars."""
    bars = Bars(price_series(candles), Interval.DAY, "directory")
    return Evidence("BTC-USD", Interval.DAY, datetime(2030, 1, 1, tzinfo=UTC), bars=bars, **more)


@dataclass(frozen=True, slots=True)
class RuleParameters(Parameters):
    lookback: int = parameter(3, 1, 50, "bars")


def agent_of(
    speak: Callable[[Evidence, Any], Signal | Abstention], *, bars: int | None = None
) -> AgentDefinition:
    """An agent that speaks as told."""
    return AgentDefinition(
        name="technical",
        version="9.9.9",
        parameters=RuleParameters,
        reads=frozenset({Dataset.CANDLES}),
        speak=speak,
        bars=lambda own: own.lookback if bars is None else bars,
        horizon=lambda _own, _interval: DAY,
    )


def say(evidence: Evidence, score: float) -> Signal:
    voice = AgentVoice("technical", evidence.symbol, "9.9.9", evidence.now)
    return voice.signal(score, 1.0, reasons=("as told",), inputs=())


def follow(evidence: Evidence, own: RuleParameters) -> Signal | Abstention:
    """Buy what has risen over the lookback, sell what has fallen, abstain before there is one."""
    assert evidence.bars is not None
    close = evidence.bars.series.close
    if len(close) < own.lookback:
        voice = AgentVoice("technical", evidence.symbol, "9.9.9", evidence.now)
        return voice.abstain(f"needs {own.lookback} bars of 1d, found {len(close)}")
    return say(evidence, float(np.sign(close[-1] - close[0])))


FOLLOW = agent_of(follow)
