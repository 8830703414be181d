"""Evidence for the tests of agents: series, figures, and one evidence in which nothing is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from alphapulse.domain.agents.evidence import (
    Bars,
    DailySeries,
    Evidence,
    Governance,
    PostSample,
    Proposal,
    ScoredPost,
)
from alphapulse.domain.agents.parameters import Parameters
from alphapulse.domain.agents.registry import agent, parameters_of
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import PriceSeries
from alphapulse.domain.signals import Abstention, Signal, SignalInput

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
YESTERDAY = NOW.date() - timedelta(days=1)
SOURCE = "simulated"

ON_CHAIN = {
    "price_usd": (30_000.0, 0.02),
    "market_cap_usd": (6e11, 0.02),
    "realised_cap_usd": (4e11, 0.003),
    "transfer_volume_usd": (1e10, 0.05),
    "active_addresses": (8e5, 0.02),
    "transactions": (3e5, 0.02),
    "fees_usd": (1e6, 0.05),
}
SUPPLY = {
    "circulating_supply": 19.5e6,
    "max_supply": 21e6,
    "top_10_holder_share": 0.06,
    "top_100_holder_share": 0.15,
}


def series(
    name: str, values: Sequence[float] | np.ndarray, *, last: date = YESTERDAY, source: str = SOURCE
) -> DailySeries:
    """Return a series without holes between its days, ending with `last`."""
    count = len(values)
    days = tuple(last - timedelta(days=count - 1 - place) for place in range(count))
    return DailySeries(name, days, np.array(values, dtype=np.float64), source, NOW)


def wandering(base: float, spread: float, days: int, seed: int) -> np.ndarray:
    """Return a random walk in logarithms that ends anywhere and returns slowly to its base."""
    shocks = np.random.default_rng(seed).normal(0.0, spread, days)
    level, levels = 0.0, []
    for shock in shocks:
        level = 0.99 * level + shock
        levels.append(level)
    return np.array(base * np.exp(levels))


def on_chain(days: int = 1461, *, seed: int = 1, source: str = SOURCE) -> dict[str, DailySeries]:
    """Return all on-chain series of an asset."""
    walks = {
        name: series(name, wandering(base, spread, days, seed + place), source=source)
        for place, (name, (base, spread)) in enumerate(ON_CHAIN.items())
    }
    issued = 19.5e6 * np.exp(-0.018 * np.arange(days)[::-1] / 365)
    return walks | {"supply": series("supply", issued, source=source)}


def figures(**changed: float | str | None) -> dict[str, SignalInput]:
    """Return all supply figures of an asset; one changed to None is left out."""
    values: dict[str, float | str | None] = {**SUPPLY, **changed}
    as_of = NOW - timedelta(minutes=5)
    return {
        name: SignalInput(name, value, as_of, SOURCE) for name, value in values.items() if value is not None
    }


def bars(count: int = 500, *, seed: int = 3, source: str = SOURCE) -> Bars:
    """Return hourly candles up to the hour of NOW."""
    closes = wandering(100.0, 0.01, count + 1, seed)
    opens, ends = closes[:-1], closes[1:]
    times = tuple(NOW - timedelta(hours=count - place) for place in range(count))
    high, low = np.maximum(opens, ends) * 1.003, np.minimum(opens, ends) * 0.997
    volume = wandering(50.0, 0.1, count, seed + 1)
    return Bars(PriceSeries(times, opens, high, low, ends, volume), Interval.HOUR, source)


def posts(count: int = 60, *, source: str = SOURCE) -> PostSample:
    """Return posts of different authors on two networks, newest first."""
    found = tuple(
        ScoredPost(
            id=f"p{place}",
            network="reddit" if place % 3 else "x",
            author=f"author-{place}",
            posted_at=NOW - timedelta(minutes=20 * place + 1),
            polarity=0.3 + 0.2 * (-1) ** place,
            engagement=float(place),
            fingerprint=f"text-{place}",
            words=20,
            links=0,
            tags=1,
        )
        for place in range(count)
    )
    return PostSample(found, source, NOW)


def governance(count: int = 40, *, source: str = SOURCE) -> Governance:
    """Return proposals of the last year, newest first, and a treasury."""
    proposals = tuple(
        Proposal(
            id=f"g{place}",
            started_at=NOW - timedelta(days=8 * place + 5),
            ended_at=NOW - timedelta(days=8 * place + 1),
            state="defeated" if place % 4 == 0 else "passed",
            votes_for=600.0 + place,
            votes_against=100.0,
            votes_abstain=10.0,
            quorum=400.0,
            voters=50,
            spends_treasury=place % 3 == 0,
        )
        for place in range(count)
    )
    treasury = series("treasury_usd", wandering(1e8, 0.02, 200, 9), source=source)
    return Governance(proposals, 5000.0, treasury, source, NOW)


@lru_cache
def full_evidence(*, source: str = SOURCE) -> Evidence:
    """Return evidence in which nothing is missing, the same each time."""
    return Evidence(
        symbol="BTC-USDT",
        interval=Interval.HOUR,
        now=NOW,
        bars=bars(source=source),
        on_chain=on_chain(source=source),
        supply=figures(),
        posts=posts(source=source),
        governance=governance(source=source),
    )


def with_chain(*found: DailySeries, supply: Mapping[str, SignalInput] | None = None) -> Evidence:
    """Return evidence of on-chain series and supply figures only."""
    chain = {item.name: item for item in found}
    return Evidence("BTC-USDT", Interval.DAY, NOW, on_chain=chain, supply=supply or {})


def only(name: str, *components: str, **settings: float) -> Parameters:
    """Return an agent's parameters with the weights of these components 1 and of all others 0."""
    weights = {key: 0.0 for key in parameters_of(name).bounds() if key.startswith("weight_")}
    weights |= {f"weight_{component}": 1.0 for component in components}
    return parameters_of(name).of({**weights, **settings})


def judged(name: str, evidence: Evidence, parameters: Parameters | None = None) -> Signal | Abstention:
    """Let an agent speak, with its default parameters if none are given."""
    return agent(name).speak(evidence, parameters or parameters_of(name)())


def spoken(name: str, evidence: Evidence, parameters: Parameters | None = None) -> Signal:
    """Let an agent speak that must have something to say."""
    signal = judged(name, evidence, parameters)
    assert isinstance(signal, Signal), signal
    return signal


def refused(name: str, evidence: Evidence, parameters: Parameters | None = None) -> str:
    """Return the reason of an agent that must abstain."""
    abstention = judged(name, evidence, parameters)
    assert isinstance(abstention, Abstention), abstention
    return abstention.reason


def newest(found: DailySeries, value: float) -> DailySeries:
    """Return a series with another figure on its last day."""
    values = found.values.copy()
    values[-1] = value
    return replace(found, values=values)


def value_of(signal: Signal, name: str) -> float:
    """Return an input of a signal by its name."""
    value = next(item.value for item in signal.inputs if item.name == name)
    assert isinstance(value, float)
    return value
