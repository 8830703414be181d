"""What a backtest is made of: the agent, its parameters, and everything there was for it to read."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from alphapulse.backtesting.candles import History
from alphapulse.backtesting.request import BacktestRequest
from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Bars, Dataset, Evidence
from alphapulse.domain.agents.registry import agent
from alphapulse.domain.backtest.run import Backtest
from alphapulse.domain.series import price_series
from alphapulse.providers.errors import ProviderError
from alphapulse.providers.providers import Providers
from alphapulse.runtime.resources import Resources


def backtest_of(request: BacktestRequest) -> Backtest:
    """Return what a request asks of the pure code; loads the agent."""
    return Backtest(agent(request.agent), request.parameters, request.terms, request.plan)


def looked_back(backtest: Backtest) -> int:
    """Return how many bars before the first one an agent may read, whichever parameters are chosen."""
    return max(backtest.definition.bars(parameters) for parameters in backtest.candidates)


async def evidence_of(
    history: History,
    request: BacktestRequest,
    definition: AgentDefinition,
    resources: Resources,
) -> Evidence:
    """Return everything there is for an agent to read, past and future, with what is missing and why.

    Parameters
    ----------
    history : History
        The candles.
    request : BacktestRequest
        What is asked.
    definition : AgentDefinition
        Which datasets it reads.
    resources : Resources
        Of the process: the sources of everything but candles.
    """
    bars = Bars(price_series(history.candles), request.interval, history.source)
    base = request.symbol.partition("-")[0]
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for dataset in sorted(definition.reads - {Dataset.CANDLES}):
        try:
            found[dataset.value] = await _READERS[dataset](resources.providers, base)
        except ProviderError as error:
            missing[dataset.value] = str(error)
    return Evidence(request.symbol, request.interval, resources.clock(), bars=bars, missing=missing, **found)


_READERS: Final[Mapping[Dataset, Callable[[Providers, str], Awaitable[Any]]]] = {
    Dataset.ON_CHAIN: Providers.on_chain,
    Dataset.SUPPLY: Providers.supply,
    Dataset.POSTS: Providers.posts,
    Dataset.GOVERNANCE: Providers.governance,
}
