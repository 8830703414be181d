"""Full evidence for every agent, and how many evaluations of it a core makes per second."""

import asyncio
import datetime as dt
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

import numpy as np

from alphapulse.domain.agents.evidence import Bars, Evidence
from alphapulse.domain.agents.registry import AGENT_NAMES, agent
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import price_series
from alphapulse.domain.signals import signal_document
from alphapulse.providers.providers import ProviderOptions, Providers, SourceKind
from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.tiers import CacheQuota

#: All datasets of it are simulated, governance too.
ASSET: Final = "BNB"
BARS: Final = 500
#: Of each symbol; more than any agent reads.
STORED_BARS: Final = 520
ROUNDS: Final = 7
ROUND_SECONDS: Final = 0.4
_SEED: Final = 20260101
# The simulation asks no Redis; nothing listens there.
_NO_REDIS: Final = "redis://127.0.0.1:1"


class _Uncounted:
    def fetched(self, source: str, dataset: str, outcome: str) -> None:
        """Count nothing."""

    def read(self, dataset: str, outcome: str) -> None:
        """Count nothing."""


def full_evidence() -> Evidence:
    """Return evidence with everything in it that any agent reads: 500 daily bars, all figures and posts."""
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    evidence = Evidence(
        f"{ASSET}-USDT",
        Interval.DAY,
        today + dt.timedelta(minutes=1),
        bars=Bars(price_series(list(bars_of(1, BARS))), Interval.DAY, "simulated"),
    )
    return asyncio.run(_with_figures(evidence))


def evaluations_per_core(evidence: Evidence) -> dict[str, float]:
    """Return evaluations per second of processor time in the best round; the technical agent reads all bars.

    Raises
    ------
    RuntimeError
        An agent abstains, so that what would be measured is no evaluation.
    """
    figures = {}
    for name in AGENT_NAMES:
        definition = agent(name)
        settings = {"window": BARS} if name == "technical" else {}
        parameters = definition.parameters.of(settings)
        document = signal_document(definition.speak(evidence, parameters))
        if document["abstained"]:
            raise RuntimeError(f"{name} abstains: {document['reasons']}")
        rates = []
        for _ in range(ROUNDS):
            started, count = time.process_time(), 0
            while time.process_time() - started < ROUND_SECONDS:
                definition.speak(evidence, parameters)
                count += 1
            rates.append(count / (time.process_time() - started))
        # Whatever else the machine does only ever takes time away.
        figures[name] = max(rates)
    return figures


def bars_of(seed: int, bars: int = STORED_BARS) -> Iterator[Candle]:
    """Daily bars of a random walk, the newest of which closed last midnight."""
    generator = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(generator.normal(0.0005, 0.02, bars)))
    volumes = generator.lognormal(5.0, 0.5, bars)
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    before = closes[0]
    for number, (close, volume) in enumerate(zip(closes, volumes, strict=True)):
        ends = (before, close)
        yield Candle(
            today - dt.timedelta(days=bars - number),
            _cents(before),
            _cents(max(ends) * 1.005),
            _cents(min(ends) * 0.995),
            _cents(close),
            _cents(volume),
        )
        before = close


async def _with_figures(evidence: Evidence) -> Evidence:
    quota = CacheQuota(bytes=2**30, alert_at=2**29)
    providers = Providers(
        ProviderOptions(kind=SourceKind.SIMULATED, seed=_SEED),
        cache=CacheConnection(_NO_REDIS, quota_of=lambda _: quota),
        clock=lambda: evidence.now,
        observer=_Uncounted(),
    )
    try:
        return replace(
            evidence,
            on_chain=await providers.on_chain(ASSET),
            supply=await providers.supply(ASSET),
            posts=await providers.posts(ASSET),
            governance=await providers.governance(ASSET),
        )
    finally:
        await providers.close()


def _cents(value: float) -> Decimal:
    return Decimal(math.floor(value * 10_000)).scaleb(-4)
