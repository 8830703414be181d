"""Walk an agent over stored candles in a thread, so that the process goes on answering."""

import asyncio
import time
from typing import Any, Final

from alphapulse.backtesting.candles import History, NoCandles, from_store
from alphapulse.backtesting.gathering import backtest_of, evidence_of, looked_back
from alphapulse.backtesting.limits import TIME_LIMIT, TooLarge
from alphapulse.backtesting.pictures import picture
from alphapulse.backtesting.report import headline, report
from alphapulse.backtesting.request import BacktestRequest, InvalidRequest
from alphapulse.backtesting.watch import Stopped, TimeLimitPassed, Watch
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.parameters import InvalidParameters
from alphapulse.domain.backtest.run import Backtest, run
from alphapulse.domain.backtest.terms import InvalidTerms
from alphapulse.runtime.work import Scope
from functions.backtest.service import Begun, Outcome, still_wanted

#: Between two signs of life.
HEARTBEAT_SECONDS: Final = 1.0

_REASONS: Final = (
    InvalidRequest,
    InvalidParameters,
    InvalidTerms,
    NoCandles,
    TooLarge,
    TimeLimitPassed,
)


async def walk(scope: Scope, begun: Begun) -> Outcome:
    """Carry a run out; what the data or the limits do not allow is a reason, no error."""
    watch = Watch(TIME_LIMIT)
    try:
        request = BacktestRequest.of(begun.request)
        backtest = await asyncio.to_thread(backtest_of, request)
        history = await _history(scope, request, backtest)
        evidence = await evidence_of(history, request, backtest.definition, scope.resources)
        work = asyncio.to_thread(_compute, request, backtest, history, evidence, watch)
        return await _watched(asyncio.ensure_future(work), scope, begun, watch)
    except _REASONS as error:
        return Outcome(reason=str(error))
    except Stopped:
        return Outcome(reason="stopped")
    finally:
        # Also when the process is told to stop: a thread cannot be ended from outside.
        watch.stop()


async def _history(scope: Scope, request: BacktestRequest, backtest: Backtest) -> History:
    async with scope.transaction() as work:
        return await from_store(work.session, request, back=looked_back(backtest))


async def _watched(task: "asyncio.Future[Outcome]", scope: Scope, begun: Begun, watch: Watch) -> Outcome:
    while True:
        done, _ = await asyncio.wait({task}, timeout=HEARTBEAT_SECONDS)
        if done:
            return task.result()
        if not await still_wanted(scope, begun, watch.progress):
            watch.stop()


def _compute(
    request: BacktestRequest, backtest: Backtest, history: History, evidence: Evidence, watch: Watch
) -> Outcome:
    started = time.perf_counter()
    result = run(backtest, history.candles, evidence, first=history.first, tick=watch.tick)
    seconds = time.perf_counter() - started
    document: dict[str, Any] = report(request, backtest, evidence, result)
    document["bars_per_second"] = round(result.evaluations / seconds, 1)
    return Outcome(headline=headline(document), result=document, picture=picture(document, result))
