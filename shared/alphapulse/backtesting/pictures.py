"""The picture of a backtest: equity beside buy-and-hold, and below how far each is under its peak.

matplotlib is loaded when a picture is drawn, with a canvas of its own: no display, no state threads share.
"""

import datetime as dt
import io
from typing import TYPE_CHECKING, Any, Final

from alphapulse.backtesting.report import curve
from alphapulse.domain.backtest.figures import Figures
from alphapulse.domain.backtest.run import Result
from alphapulse.domain.instruments import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Points drawn; more than there are pixels across.
DRAWN_POINTS: Final = 4_000

_SIZE_INCHES: Final = (11.0, 7.0)
_DOTS_PER_INCH: Final = 120
_AGENT, _HOLD, _INK, _GRID, _GAP = "#1f6f8b", "#b0803a", "#22303a", "#d9dee2", "#c9433a"
_SECONDS_PER_DAY: Final = 86_400
# From this ratio of highest to lowest on, equal changes should look equal.
_LOGARITHMIC_FROM: Final = 6.0


def picture(document: dict[str, Any], result: Result) -> bytes:
    """Draw the curves of a result.

    Parameters
    ----------
    document
        Its report, for the words.
    result
        For the curve.

    Returns
    -------
    bytes
        A PNG of 1320 x 840 points.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - most never draw
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    above, below = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": (2.2, 1.0), "hspace": 0.08}
    )
    lines = curve(result, DRAWN_POINTS)
    times = [_day(dt.datetime.fromisoformat(at)) for at in lines["at"]]
    _draw_equity(above, times, lines, result)
    _draw_drawdown(below, times, lines)
    _mark(above, below, result, Interval.parse(document["interval"]))
    _words(figure, document, result)
    figure.subplots_adjust(left=0.09, right=0.97, top=0.835, bottom=0.09)
    figure.align_ylabels([above, below])
    file = io.BytesIO()
    canvas.print_png(file)  # type: ignore[no-untyped-call] # matplotlib has no types for it
    return file.getvalue()


def _draw_equity(axes: "Axes", times: list[float], lines: dict[str, list[Any]], result: Result) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415 - see `picture`

    equity = [float(value) for value in lines["equity"]]
    held = [float(value) for value in lines["buy_and_hold"]]
    label = f"agent {_share(result.figures.total_return)}"
    other = f"buy and hold {_share(result.benchmark_figures.total_return)}"
    axes.plot(times, equity, color=_AGENT, linewidth=1.5, label=label, zorder=3)
    axes.plot(times, held, color=_HOLD, linewidth=1.1, label=other)
    lowest, highest = min(*equity, *held), max(*equity, *held)
    if lowest > 0 and highest / lowest >= _LOGARITHMIC_FROM:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("equity (logarithmic)", color=_INK)
    else:
        axes.set_ylabel("equity", color=_INK)
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.6g}" if value < 1 else f"{value:,.0f}")
    )
    # Above the axes, where it hides no line.
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.012, 0.995),
        ncols=2,
        frameon=False,
        fontsize=10,
        handlelength=1.6,
    )
    _plain(axes)


def _draw_drawdown(axes: "Axes", times: list[float], lines: dict[str, list[Any]]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - see `picture`
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415 - see `picture`

    axes.fill_between(times, lines["drawdown"], 0.0, color=_AGENT, alpha=0.30, linewidth=0)
    axes.plot(times, lines["drawdown"], color=_AGENT, linewidth=1.0)
    axes.plot(times, lines["buy_and_hold_drawdown"], color=_HOLD, linewidth=0.9)
    axes.set_ylabel("below the peak", color=_INK)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    lowest = min(*lines["drawdown"], *lines["buy_and_hold_drawdown"])
    axes.set_ylim(min(lowest * 1.05, -0.01), 0.0)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call] # matplotlib has no types for it
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call] # as above
    if len(times) > 1:
        axes.set_xlim(times[0], times[-1])
    _plain(axes)


def _mark(above: "Axes", below: "Axes", result: Result, interval: Interval) -> None:
    bar = interval.seconds / _SECONDS_PER_DAY
    gaps = [
        (_day(gap.first_missing), _day(gap.last_missing) - _day(gap.first_missing) + bar)
        for gap in result.gaps
    ]
    for axes in (above, below):
        # All in one, because there may be thousands; across the whole height whatever the scale.
        axes.broken_barh(
            gaps, (0.0, 1.0), transform=axes.get_xaxis_transform(), color=_GAP, alpha=0.12, linewidth=0
        )
    points, start = result.simulation.points, 0
    for fold in result.folds[:-1]:
        start += fold.bars
        for axes in (above, below):
            axes.axvline(_day(points[start].at), color=_INK, linewidth=0.8, linestyle=":", alpha=0.7)


def _words(figure: "Figure", document: dict[str, Any], result: Result) -> None:
    who = f"{document['agent']} {document['agent_version']}"
    title = f"{who} on {document['symbol']}, bars of {document['interval']}"
    if document["simulated"]:
        title += "  (simulated prices)"
    gaps, terms = document["gaps"], document["terms"]
    facts = (
        f"{document['from'][:10]} to {document['to'][:10]}, {document['bars']:,} bars, "
        f"{gaps['missing_bars']:,} missing in {gaps['count']} gaps, source {document['source']}; "
        f"fees {terms['fee_bps']} bps and slippage {terms['slippage_bps']} bps a fill"
    )
    figure.text(0.09, 0.955, title, fontsize=14, color=_INK, weight="bold")
    figure.text(0.09, 0.922, facts, fontsize=9.5, color=_INK)
    figure.text(0.09, 0.892, _summary(result.figures, document), fontsize=9.5, color=_INK)
    notes = ["red: missing bars"] * bool(result.gaps) + ["dotted: next fold"] * (len(result.folds) > 1)
    if notes:
        figure.text(0.09, 0.02, ", ".join(notes), fontsize=8.5, color=_INK)


def _summary(figures: Figures, document: dict[str, Any]) -> str:
    activity = document["activity"]
    hit_rate = "-" if activity["hit_rate"] is None else f"{activity['hit_rate']:.0%}"
    annual = "" if figures.annualised_return is None else f"a year {_share(figures.annualised_return)}, "
    sharpe = "-" if figures.sharpe is None else f"{figures.sharpe:.2f}"
    return (
        f"{annual}Sharpe {sharpe}, deepest fall {figures.max_drawdown:.1%}, "
        f"{activity['trades']} trades, hit rate {hit_rate}, exposure {activity['exposure']:.0%}, "
        f"fees paid {float(activity['fees']):,.6g}"
    )


def _plain(axes: "Axes") -> None:
    axes.grid(visible=True, color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_GRID)


def _day(moment: dt.datetime) -> float:
    # What matplotlib counts dates in.
    return moment.timestamp() / _SECONDS_PER_DAY


def _share(value: float) -> str:
    return f"{value:+,.1%}"
