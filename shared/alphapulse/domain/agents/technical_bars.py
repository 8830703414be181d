"""The bars a technical signal is made from: the newest of the window, refused where they cannot be used."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from alphapulse.domain.agents.evidence import Bars, Dataset, Evidence, is_stale
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.candles import Gap, InvalidCandle, find_gaps
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import PriceSeries
from alphapulse.domain.signals import SignalInput


class Unusable(ValueError):
    """Evidence from which no signal can be made.

    Attributes
    ----------
    inputs : tuple of SignalInput
        What was found out about it before.
    """

    def __init__(self, reason: str, inputs: tuple[SignalInput, ...] = ()) -> None:
        super().__init__(reason)
        self.inputs = inputs


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Bars that ascend, with prices that can be.

    Attributes
    ----------
    series : PriceSeries
        Oldest first.
    interval : Interval
        Length of a bar.
    source : str
        Where they come from.
    closed_at : datetime
        When the newest bar closed.
    gaps : list of Gap
        What is missing between the first and the last.
    """

    series: PriceSeries
    interval: Interval
    source: str
    closed_at: datetime
    gaps: list[Gap]

    @property
    def missing(self) -> int:
        """How many bars are missing."""
        return sum(gap.count for gap in self.gaps)

    @property
    def present(self) -> float:
        """Share of the window's bars that are there."""
        return len(self.series) / (len(self.series) + self.missing)

    @property
    def inputs(self) -> tuple[SignalInput, ...]:
        """How many bars there are and are not."""
        return (
            SignalInput("bars", len(self.series), self.closed_at, self.source),
            SignalInput("missing_bars", self.missing, self.closed_at, self.source),
        )


def window_of(evidence: Evidence, parameters: TechnicalParameters) -> Window:
    """Return the newest bars of the evidence.

    Raises
    ------
    Unusable
        When there are none or too few, they do not ascend by whole intervals, contain a gap longer than
        ``max_gap_bars``, are too old or from the future, or hold a price that cannot be.
    """
    bars = evidence.bars
    if bars is None:
        raise Unusable(evidence.why_missing(Dataset.CANDLES))
    if bars.interval is not evidence.interval:
        raise Unusable(f"asked about bars of {evidence.interval}, found bars of {bars.interval}")
    series = bars.series.last(parameters.window)
    if len(series) < parameters.bars_needed:
        raise Unusable(f"needs {parameters.bars_needed} bars of {bars.interval}, found {len(series)}")
    try:
        window = _timed(series, bars, evidence.now, parameters)
    except (InvalidCandle, TypeError, OverflowError) as error:
        # Times with and without a zone cannot be subtracted; the last day of the calendar has no next one.
        raise Unusable(f"the times of the bars are unusable: {error}") from error
    problem = _impossible(series)
    if problem is not None:
        raise Unusable(f"the candles are unusable: {problem}", window.inputs)
    return window


def gap_text(gap: Gap, interval: Interval) -> str:
    """Return a gap in words."""
    first, last = gap.first_missing.isoformat(), gap.last_missing.isoformat()
    span = f"at {first}" if gap.count == 1 else f"from {first} to {last}"
    return f"{gap.count} bar{'' if gap.count == 1 else 's'} of {interval} missing {span}"


def _timed(series: PriceSeries, bars: Bars, now: datetime, parameters: TechnicalParameters) -> Window:
    interval, source = bars.interval, bars.source
    gaps = find_gaps(series.open_times, interval)
    closed_at = series.open_times[-1] + timedelta(seconds=interval.seconds)
    window = Window(series, interval, source, closed_at, gaps)
    longest = max(gaps, key=lambda gap: gap.count, default=None)
    if longest is not None and longest.count > parameters.max_gap_bars:
        raise Unusable(
            f"{gap_text(longest, interval)}, at most {parameters.max_gap_bars} in a row are tolerated",
            window.inputs,
        )
    if closed_at > now:
        raise Unusable(
            f"the last bar closes at {closed_at.isoformat()}, after {now.isoformat()}", window.inputs
        )
    max_age = timedelta(seconds=interval.seconds + parameters.max_delay_seconds)
    if is_stale(closed_at, source, now=now, max_age=max_age):
        oldest = now - max_age
        raise Unusable(
            f"the last bar closed at {closed_at.isoformat()}, before {oldest.isoformat()}", window.inputs
        )
    return window


def _impossible(series: PriceSeries) -> str | None:
    prices = (series.open, series.high, series.low, series.close)
    if any(column.shape != (len(series),) for column in (*prices, series.volume)):
        return "their columns differ in length"
    columns = np.array(prices)
    finite = np.isfinite(columns)
    if not finite.all():
        return f"a price of bar {int(np.argmin(finite.all(axis=0)))} is not finite"
    opened, high, low, close = columns
    if not columns.min() > 0.0:
        return f"a price must be positive, was {columns.min():g}"
    if (low > np.minimum(opened, close)).any() or (high < np.maximum(opened, close)).any():
        return "a price is outside its bar's high and low"
    return None
