"""Gather what an agent reads: candles from the market cache, the rest from the providers.

Only what the agent's definition names is asked for, all of it at once and for a limited time. What does not
come is in `missing` with the reason, and the agent decides whether it can do without.
"""

import asyncio
import datetime as dt
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Bars, DailySeries, Dataset, Evidence, end_of
from alphapulse.domain.agents.parameters import Parameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import price_series
from alphapulse.market.series import Series, available_intervals, cached_series, read_series
from alphapulse.providers.errors import AssetUnknown, ProviderError
from alphapulse.runtime.work import Scope

#: Longer than all requests to a source may take, also when a process that others waited for was killed: it is
#: the source that says why it gives nothing.
LONGEST: Final = dt.timedelta(seconds=60)
# Of the time there is until the deadline; the rest is for speaking, storing and the consensus.
_SHARE: Final = 0.6
# Series whose bars a process remembers: agents ask about a symbol for all tenants within minutes.
_REMEMBERED: Final = 64

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be gathered.

    Attributes
    ----------
    definition : AgentDefinition
        For which agent.
    parameters : Parameters
        With which settings.
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of the bars.
    deadline_at : datetime
        After which nobody waits for the signal.
    """

    definition: AgentDefinition
    parameters: Parameters
    symbol: str
    interval: Interval
    deadline_at: dt.datetime

    @property
    def asset(self) -> str:
        """What sources outside exchanges know: the base."""
        return self.symbol.partition("-")[0]


class Gatherer:
    """Gathers evidence, and remembers bars that come again as the same candles."""

    def __init__(self) -> None:
        self._bars: OrderedDict[tuple[str, Interval, int], tuple[Series, Bars]] = OrderedDict()

    async def gather(self, scope: Scope, wanted: Wanted) -> Evidence:
        """Return the evidence there is; ``now`` is the moment after the last of it came."""
        seconds = min(LONGEST, _SHARE * (wanted.deadline_at - scope.now)).total_seconds()
        missing: dict[str, str] = {}
        found: dict[Dataset, Any] = {}

        async def read(dataset: Dataset) -> None:
            try:
                async with asyncio.timeout(seconds):
                    found[dataset] = await _READERS[dataset](scope, wanted, missing)
            except ProviderError as error:
                missing[dataset.value] = str(error)
            except TimeoutError:
                missing[dataset.value] = f"the {_words(dataset)} data did not come within {seconds:.0f} s"
            except Exception as error:
                if dataset is Dataset.CANDLES:
                    raise  # from our own stores, which are tried again
                # A source that nobody knows how to read is as good as down; asking again gives the same.
                logger.exception("source_unreadable", data=dataset, symbol=wanted.symbol)
                why = f"the {_words(dataset)} data could not be read ({type(error).__name__})"
                missing[dataset.value] = why

        await asyncio.gather(*map(read, wanted.definition.reads))
        for what, reason in missing.items():
            logger.info("data_missing", data=what, symbol=wanted.symbol, reason=reason)
        # In the same order each time, so that the same evidence has the same digest.
        return self._evidence(wanted, found, dict(sorted(missing.items())), now=scope.now)

    def _evidence(
        self, wanted: Wanted, found: Mapping[Dataset, Any], missing: Mapping[str, str], *, now: dt.datetime
    ) -> Evidence:
        series: Series | None = found.get(Dataset.CANDLES)
        on_chain: Mapping[str, DailySeries] = found.get(Dataset.ON_CHAIN, {})
        return Evidence(
            wanted.symbol,
            wanted.interval,
            now,
            bars=None if series is None else self._as_bars(series.closed(now)),
            on_chain={name: _ended(daily, now) for name, daily in on_chain.items()},
            supply=found.get(Dataset.SUPPLY, {}),
            posts=found.get(Dataset.POSTS),
            governance=found.get(Dataset.GOVERNANCE),
            missing=missing,
        )

    def _as_bars(self, closed: Series) -> Bars:
        key = (closed.symbol, closed.interval, len(closed.candles))
        known = self._bars.get(key)
        if known is None or not _are_the_same(known[0], closed):
            known = (closed, Bars(price_series(closed.candles), closed.interval, closed.source))
            self._bars[key] = known
            if len(self._bars) > _REMEMBERED:
                self._bars.popitem(last=False)
        self._bars.move_to_end(key)
        return known[1]


async def _candles(scope: Scope, wanted: Wanted, _missing: MutableMapping[str, str]) -> Series:
    # One more than are read, in case the newest bar has not closed.
    limit = wanted.definition.bars(wanted.parameters) + 1
    cached = await cached_series(scope.market_cache, wanted.symbol, wanted.interval, limit=limit)
    if cached is not None:
        return cached
    async with scope.transaction() as work:
        series = await read_series(
            work.session, scope.market_cache, wanted.symbol, wanted.interval, limit=limit
        )
        if series is not None:
            return series
        available = await available_intervals(work.session, wanted.symbol)
    if not available:
        raise AssetUnknown(f"there are no candles of {wanted.symbol}")
    raise AssetUnknown(
        f"there are no candles of {wanted.symbol} in {wanted.interval}; available: {', '.join(available)}"
    )


async def _on_chain(scope: Scope, wanted: Wanted, missing: MutableMapping[str, str]) -> Any:
    return await scope.resources.providers.on_chain(wanted.asset, missing=missing)


async def _supply(scope: Scope, wanted: Wanted, missing: MutableMapping[str, str]) -> Any:
    return await scope.resources.providers.supply(wanted.asset, missing=missing)


async def _posts(scope: Scope, wanted: Wanted, _missing: MutableMapping[str, str]) -> Any:
    return await scope.resources.providers.posts(wanted.asset)


async def _governance(scope: Scope, wanted: Wanted, _missing: MutableMapping[str, str]) -> Any:
    return await scope.resources.providers.governance(wanted.asset)


def _words(dataset: Dataset) -> str:
    return dataset.value.replace("_", "-")


def _are_the_same(one: Series, other: Series) -> bool:
    # Candles are decoded all at once, and kept by who decoded them: the first and the last stand for all. The
    # remembered series holds them, so that no others can take their place.
    if not one.candles or not other.candles:
        return False
    ends = ((one.candles[n], other.candles[n]) for n in (0, -1))
    return one.source == other.source and all(mine is yours for mine, yours in ends)


def _ended(series: DailySeries, now: dt.datetime) -> DailySeries:
    # The day that runs is no figure yet. Unchanged series stay the same objects, which are kept once.
    return series if not series.days or end_of(series.days[-1]) <= now else series.until(now)


# Each notes in the mapping what is missing of something that is there.
_READERS: Final[Mapping[Dataset, Callable[[Scope, Wanted, MutableMapping[str, str]], Awaitable[Any]]]] = {
    Dataset.CANDLES: _candles,
    Dataset.ON_CHAIN: _on_chain,
    Dataset.SUPPLY: _supply,
    Dataset.POSTS: _posts,
    Dataset.GOVERNANCE: _governance,
}
