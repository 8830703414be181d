"""The command line of backtests: 0 when done, 1 when the data do not allow it, 2 when asked wrongly."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from alphapulse.backtesting.candles import NoCandles
from alphapulse.backtesting.gathering import backtest_of, evidence_of, looked_back
from alphapulse.backtesting.limits import TooLarge
from alphapulse.backtesting.places import Place, PlaceError, place_of
from alphapulse.backtesting.request import BacktestRequest, InvalidRequest
from alphapulse.data.errors import DatabaseError
from alphapulse.domain.agents.registry import AGENT_NAMES
from alphapulse.domain.backtest.run import run
from alphapulse.domain.backtest.terms import InvalidTerms
from alphapulse.domain.instruments import Interval
from alphapulse.providers.candles.source import CandleError
from alphapulse.runtime.settings import InvalidSetting

_STEPS: Final = 10
_DATA_ERRORS: Final = (CandleError, NoCandles, TooLarge, InvalidTerms, PlaceError, DatabaseError, OSError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = _parser().parse_args(arguments)
    try:
        request = BacktestRequest.of(_document(given))
        place = place_of(given.source, given.data_dir, given.provider_data_dir)
    except (InvalidRequest, InvalidSetting, NotADirectoryError) as error:
        return _fail(error, status=2)
    try:
        return asyncio.run(_backtest(request, place, given))
    except _DATA_ERRORS as error:
        return _fail(error, status=1)
    except KeyboardInterrupt:
        return _fail("stopped", status=130)


async def _backtest(request: BacktestRequest, place: Place, given: argparse.Namespace) -> int:
    from alphapulse.backtesting.report import report  # noqa: PLC0415 - numpy, not needed for --help

    _say(f"candles: {place.candles}; other data: {place.providers}")
    backtest = backtest_of(request)
    try:
        history = await place.history(request, back=looked_back(backtest))
        evidence = await evidence_of(history, request, backtest.definition, place.resources)
    finally:
        await place.resources.close()
    for dataset, reason in evidence.missing.items():
        _say(f"missing {dataset}: {reason}")
    begun = time.perf_counter()
    result = run(backtest, history.candles, evidence, first=history.first, tick=_Progress())
    seconds = time.perf_counter() - begun
    document = report(request, backtest, evidence, result)
    _print(document)
    _say(f"{result.evaluations} evaluations in {seconds:.1f} s, {result.evaluations / seconds:,.0f} bars/s")
    if given.json is not None:
        given.json.write_text(json.dumps(document, indent=1) + "\n")
        _say(f"wrote {given.json}")
    if given.png is not None:
        from alphapulse.backtesting.pictures import picture  # noqa: PLC0415 - only if asked for

        given.png.write_bytes(picture(document, result))
        _say(f"wrote {given.png}")
    return 0


class _Progress:
    """Tells each tenth, once."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, done: int, all_: int) -> None:
        step = done * _STEPS // all_
        if step > self._told:
            self._told = step
            _say(f"{step * 100 // _STEPS:3d} %  {done} of {all_} bars")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m alphapulse.backtesting",
        description="Walk an agent over past candles and trade what it says at the next bar's open.",
    )
    add = parser.add_argument
    add("--symbol", required=True, help="BASE-QUOTE, such as BTC-USD")
    add(
        "--interval",
        default=Interval.DAY.value,
        choices=[own.value for own in Interval],
        help="of a bar (1d)",
    )
    add("--agent", default="technical", choices=AGENT_NAMES, help="who speaks (technical)")
    add(
        "--source",
        choices=("directory", "stored", "simulated"),
        help="of candles; the first there is if not given",
    )
    add("--data-dir", type=Path, help="candle files (default: MARKET_DATA_DIR)")
    add("--provider-data-dir", type=Path, help="files of other data (default: PROVIDER_DATA_DIR)")
    add("--from", dest="start", help="first open, a date or RFC 3339")
    add("--to", dest="end", help="last close, a date or RFC 3339")
    add("--parameters", type=_json, default={}, help='of the agent, as JSON: {"rsi_period": 10}')
    add("--starting-equity", help="in the quote currency (10000)")
    add("--position-fraction", help="share of the cash a position takes (1)")
    add("--fee-bps", help="fee per fill in basis points (10)")
    add("--slippage-bps", help="by which a fill is worse than the open (5)")
    add("--short", action="store_true", help="let a sell signal open a short position")
    add("--folds", type=int, default=0, help="walk forward over this many stretches (0)")
    add("--grid", type=_json, default={}, help='values to choose from per fold: {"rsi_period": [10, 14]}')
    add("--json", type=Path, help="write the result here")
    add("--png", type=Path, help="draw equity and drawdown here")
    return parser


def _document(given: argparse.Namespace) -> dict[str, Any]:
    names = ("symbol", "interval", "agent", "parameters", "starting_equity", "position_fraction")
    more = ("fee_bps", "slippage_bps", "short", "folds", "grid")
    own = {name: getattr(given, name) for name in (*names, *more)}
    return {**own, "from": given.start, "to": given.end}


def _print(document: dict[str, Any]) -> None:
    figures, held, activity = document["figures"], document["buy_and_hold"], document["activity"]
    gaps, counts = document["gaps"], document["signals"]
    spoken = ", ".join(f"{count} {name}" for name, count in counts.items())
    lines = [
        f"{document['agent']} {document['agent_version']} on {document['symbol']} {document['interval']}",
        f"{document['from']} to {document['to']}, source {document['source']}",
        f"bars {document['bars']}, missing {gaps['missing_bars']} in {gaps['count']} gaps; signals: {spoken}",
        f"{'':20}{'agent':>16}{'buy and hold':>16}",
        *(f"{name:20}{_cell(figures[key]):>16}{_cell(held[key]):>16}" for name, key in _ROWS),
        f"trades {activity['trades']}, hit rate {_cell(activity['hit_rate'])}",
        f"exposure {_cell(activity['exposure'])}, turnover {activity['turnover']:.2f}",
        f"fees {activity['fees']}, slippage {activity['slippage']}",
        *(f"fold {number}: {_fold(fold)}" for number, fold in enumerate(document["folds"], start=1)),
        *(f"abstained {each['count']} times: {each['reason']}" for each in document["abstentions"]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


_ROWS: Final = (
    ("final equity", "final_equity"),
    ("total return", "total_return"),
    ("annualised (365 d)", "annualised_return"),
    ("Sharpe", "sharpe"),
    ("Sortino", "sortino"),
    ("max drawdown", "max_drawdown"),
)


def _fold(fold: dict[str, Any]) -> str:
    chosen = ", ".join(f"{name} {value}" for name, value in fold["settings"].items()) or "as given"
    figures = fold["figures"]
    return f"{fold['bars']} bars, {chosen}, return {_cell(figures and figures['total_return'])}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "-" if value is None else str(value)


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"must be a JSON object, was {text[:40]}")
    return value


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _fail(error: object, *, status: int) -> int:
    _say(f"backtest: {error}")
    return status
