"""The result of a backtest as a JSON document.

Figures come from all bars; the curve is thinned for display. Amounts are decimal texts, shares are numbers,
times are RFC 3339 UTC. A figure that does not exist is null.
"""

import dataclasses
import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import Any, Final

import numpy as np

from alphapulse.backtesting.request import BacktestRequest, rfc3339
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.backtest.account import Fill, Trade
from alphapulse.domain.backtest.figures import drawdowns
from alphapulse.domain.backtest.folds import FoldReport
from alphapulse.domain.backtest.run import Backtest, Result
from alphapulse.domain.indicators import FloatArray
from alphapulse.domain.money import decimal_text, quantise
from alphapulse.providers.source import SourceKind

#: Most points of the curve in the document; most trades and gaps that are listed (the newest).
CURVE_POINTS: Final = 1_000
LISTED: Final = 1_000

_PLACES: Final = 8
_DIGITS: Final = 10
_ASSUMPTIONS: Final = (
    "A signal is made at a bar's close from what was known then and traded at the next bar's open.",
    "A hold or an abstention keeps the position; no bar is put into a gap, and no fill either.",
    "Sharpe and Sortino are of single bars' returns, risk-free rate 0, with the bars of 365 days a year.",
    "Borrowing for short positions costs nothing here, and any quantity is filled at one price.",
    "Data a source revised after the fact are taken as they are now.",
)


def report(
    request: BacktestRequest, backtest: Backtest, evidence: Evidence, result: Result
) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    request, backtest
        What was asked.
    evidence
        What the agent could read: where it came from, and what was missing.
    result
        What came of it.
    """
    return {**_asked(request, backtest, evidence), **_found(result), "datasets": _datasets(evidence)}


def _asked(request: BacktestRequest, backtest: Backtest, evidence: Evidence) -> dict[str, Any]:
    source = evidence.bars.source if evidence.bars else ""
    asked = request.document()
    terms = ("starting_equity", "position_fraction", "fee_bps", "slippage_bps", "short")
    return {
        "symbol": request.symbol,
        "interval": request.interval.value,
        "agent": request.agent,
        "agent_version": backtest.definition.version,
        "parameters": dataclasses.asdict(backtest.definition.parameters.of(backtest.settings)),
        "source": source,
        "simulated": SourceKind.SIMULATED in source,
        "terms": {name: asked[name] for name in terms},
        "grid": asked["grid"],
        "assumptions": list(_ASSUMPTIONS),
    }


def _found(result: Result) -> dict[str, Any]:
    course = result.simulation
    return {
        "from": rfc3339(result.opens_at),
        "to": rfc3339(result.closes_at),
        "bars": len(course.points),
        "learnt_bars": result.learnt_bars,
        "history_bars": result.history_bars,
        "evaluations": result.evaluations,
        "gaps": _gaps(result),
        "figures": _plain(result.figures),
        "buy_and_hold": _plain(result.benchmark_figures),
        "activity": _plain(result.activity),
        "signals": _signals(result),
        "abstentions": [_plain(count) for count in result.abstentions],
        "folds": [_fold(fold) for fold in result.folds],
        "trades": [_trade(trade) for trade in course.trades[-LISTED:]],
        "open_position": None if course.open_entry is None else _fill(course.open_entry),
        "late_fills": course.late_fills,
        "ruined_at": rfc3339(course.ruined_at),
        "curve": curve(result),
    }


def curve(result: Result, most: int = CURVE_POINTS) -> dict[str, list[Any]]:
    """Return the curve in columns, thinned so that each stretch keeps its ends and extremes."""
    points, held = result.simulation.points, result.benchmark.points
    equity = np.array([float(point.equity) for point in points])
    other = np.array([float(point.equity) for point in held])
    kept = thinned(equity, most)
    fallen, other_fallen = drawdowns(equity), drawdowns(other)
    return {
        "at": [rfc3339(points[number].at) for number in kept],
        "equity": [_amount(points[number].equity) for number in kept],
        "buy_and_hold": [_amount(held[number].equity) for number in kept],
        "drawdown": [_number(fallen[number]) for number in kept],
        "buy_and_hold_drawdown": [_number(other_fallen[number]) for number in kept],
        "stance": [int(points[number].stance) for number in kept],
    }


def thinned(values: FloatArray, most: int) -> list[int]:
    """Return at most `most` ascending positions: of each stretch its first, lowest, highest and last."""
    if len(values) <= most:
        return list(range(len(values)))
    kept: set[int] = set()
    edges = np.linspace(0, len(values), most // 4 + 1).astype(int)
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        stretch = values[start:end]
        kept |= {start, start + int(stretch.argmin()), start + int(stretch.argmax()), end - 1}
    return sorted(kept)


def headline(document: dict[str, Any]) -> dict[str, Any]:
    """Return the few figures that lists and events carry."""
    figures, activity = document["figures"], document["activity"]
    return {
        "bars": document["bars"],
        "final_equity": figures["final_equity"],
        "total_return": figures["total_return"],
        "buy_and_hold_return": document["buy_and_hold"]["total_return"],
        "annualised_return": figures["annualised_return"],
        "sharpe": figures["sharpe"],
        "max_drawdown": figures["max_drawdown"],
        "trades": activity["trades"],
        "fees": activity["fees"],
    }


def _gaps(result: Result) -> dict[str, Any]:
    gaps = result.gaps
    return {
        "count": len(gaps),
        "missing_bars": sum(gap.count for gap in gaps),
        "list": [_plain(gap) for gap in gaps[-LISTED:]],
    }


def _datasets(evidence: Evidence) -> dict[str, Any]:
    days = [series.days for series in evidence.on_chain.values() if series.days]
    known: dict[str, Any] = {"missing": dict(evidence.missing)}
    if days:
        known["on_chain"] = {
            "series": sorted(evidence.on_chain),
            "first_day": min(own[0] for own in days).isoformat(),
            "last_day": max(own[-1] for own in days).isoformat(),
            "sources": sorted({series.source for series in evidence.on_chain.values()}),
        }
    if evidence.posts is not None:
        known["posts"] = {"count": len(evidence.posts.posts), "source": evidence.posts.source}
    if evidence.governance is not None:
        known["governance"] = {
            "count": len(evidence.governance.proposals),
            "source": evidence.governance.source,
        }
    if evidence.supply:
        known["supply"] = {"figures": sorted(evidence.supply)}
    return known


def _signals(result: Result) -> dict[str, int]:
    counts = Counter("abstained" if v.direction is None else v.direction.value for v in result.said)
    return {name: counts[name] for name in ("buy", "sell", "hold", "abstained")}


def _fold(fold: FoldReport) -> dict[str, Any]:
    return {
        "bars": fold.bars,
        "settings": fold.settings,
        "learnt_sharpe": _plain(fold.learnt_sharpe),
        "figures": _plain(fold.figures),
    }


def _trade(trade: Trade) -> dict[str, Any]:
    return {
        "stance": trade.stance.name.lower(),
        "entry": _fill(trade.entry),
        "exit": _fill(trade.exit),
        "fees": _amount(trade.fees),
        "pnl": _amount(trade.pnl),
        "profit_share": _number(trade.profit_share),
    }


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "at": rfc3339(fill.at),
        "side": fill.side.value,
        "quantity": _amount(fill.quantity),
        "price": _amount(fill.price),
        "fee": _amount(fill.fee),
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Decimal):
        return _amount(value)
    if isinstance(value, dt.datetime):
        return rfc3339(value)
    return _number(value) if isinstance(value, float) else value


def _amount(value: Decimal) -> str:
    return decimal_text(quantise(value, places=_PLACES))


def _number(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
