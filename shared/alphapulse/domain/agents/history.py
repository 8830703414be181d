"""Daily series as unbroken calendars: what agents that read on-chain data compute with.

A calendar has one place per day, the newest day last, so that "90 days ago" is 90 places back even where a
source left days out. Order and repetition in the source do not matter: each figure goes to its day, and of
several for one day the last counts. Days that had not ended by the moment of the signal are cut off, for
every source, so that nothing from the future is read.

A figure that is not finite, is negative, or is beyond 1e30 in size (no amount of money and no number of
coins is) is a hole; below 1e-30 it is zero. Everything computed from such figures stays far inside float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from operator import lt
from typing import Final

import numpy as np

from alphapulse.domain.agents.evidence import DailySeries, Dataset, Evidence, end_of, is_stale
from alphapulse.domain.agents.robust import is_still
from alphapulse.domain.indicators import FloatArray

_LARGEST: Final = 1e30
_SMALLEST: Final = 1e-30
# Rows a source may give after the last day with a figure.
_NEWER_ROWS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """A daily figure on an unbroken calendar.

    Attributes
    ----------
    name, source : str
        As in the series.
    values : ndarray of float64, shape (days,)
        At least 0, at most 1e30; NaN for a hole. The last one is a figure.
    last_day : int
        Ordinal of the day of the last value.
    as_of : datetime
        End of that day.
    """

    name: str
    source: str
    values: FloatArray
    last_day: int
    as_of: datetime

    @property
    def newest(self) -> float:
        """The figure of the last day."""
        return float(self.values[-1])


class HistoryReader:
    """Reads histories from one evidence.

    Parameters
    ----------
    evidence : Evidence
        With the daily series.
    days : int
        How far back a history goes at most.
    least_days : int
        Figures without which there is no history.
    max_age_days : int
        Age of the newest figure from which on it is stale.
    """

    def __init__(self, evidence: Evidence, *, days: int, least_days: int, max_age_days: int) -> None:
        self._evidence = evidence
        self._days = days
        self._least_days = least_days
        self._max_age = timedelta(days=max_age_days)
        self._today = evidence.now.astimezone(UTC).date().toordinal()
        self._checked: Sequence[date] = ()

    def read(self, name: str, *, may_rest: bool = False) -> History | str:
        """Return the history of a figure, or the reason why there is none.

        Parameters
        ----------
        name : str
            Of the series.
        may_rest : bool
            Whether a figure that never changes is one; otherwise it is taken for a broken source.
        """
        series = self._evidence.on_chain.get(name)
        if series is None:
            return self._evidence.why_figure_missing(Dataset.ON_CHAIN, name)
        history = self._calendar(series)
        if history is None:
            return f"{name} has no usable figure"
        if is_stale(history.as_of, history.source, now=self._evidence.now, max_age=self._max_age):
            return f"{name} ends with {history.as_of.isoformat()}, more than {self._max_age.days} days ago"
        found = int(np.count_nonzero(np.isfinite(history.values)))
        if found < self._least_days:
            return f"{name} needs {self._least_days} days, found {found}"
        if not may_rest and is_still(history.values):
            return f"{name} did not change in {found} days"
        return history

    def _calendar(self, series: DailySeries) -> History | None:
        values = np.asarray(series.values, dtype=np.float64)
        if not series.days or values.shape != (len(series.days),):
            return None
        calendar = self._newest_rows(series.days, values) or self._scattered(series.days, values)
        if calendar is None:
            return None
        last_day, figures = calendar
        as_of = end_of(date.fromordinal(last_day))
        return History(series.name, series.source, figures, last_day, as_of)

    def _newest_rows(self, days: Sequence[date], values: FloatArray) -> tuple[int, FloatArray] | None:
        # Where the newest rows are one day after the other and fill the calendar, rows before them are too
        # old, or are for the same days and come first: they need not be looked at.
        rows = days[-self._days - _NEWER_ROWS :]
        # Series of one source have the same days: comparing them costs half of checking them.
        if self._checked != rows and not _unbroken(rows):
            return None
        self._checked = rows
        first = rows[0].toordinal()
        newest = _plausible(values[-len(rows) :][: max(self._today - first, 0)])
        places = np.flatnonzero(np.isfinite(newest))
        end = int(places[-1]) + 1 if len(places) else 0
        if end < min(self._days, len(days)) and len(rows) < len(days):
            return None
        start = int(places[0]) if len(places) and len(rows) == len(days) else 0
        newest = newest[start:end][-self._days :]
        return (first + end - 1, newest) if len(newest) else None

    def _scattered(self, days: Sequence[date], values: FloatArray) -> tuple[int, FloatArray] | None:
        figures = _plausible(values)
        ordinals = np.fromiter(map(date.toordinal, days), dtype=np.int64, count=len(days))
        ended = np.isfinite(figures) & (ordinals < self._today)
        places = ordinals[ended]
        if not len(places):
            return None
        last = int(places.max())
        first = max(int(places.min()), last - self._days + 1)
        inside = places >= first
        calendar = np.full(last - first + 1, np.nan)
        calendar[places[inside] - first] = figures[ended][inside]
        return last, calendar


def aligned(left: History, right: History) -> tuple[History, History] | None:
    """Return the days both cover, or None when there are none."""
    last = min(left.last_day, right.last_day)
    lengths = [len(item.values) - (item.last_day - last) for item in (left, right)]
    length = min(lengths)
    if length < 1:
        return None
    as_of = min(left.as_of, right.as_of)
    both = [
        replace(item, values=item.values[until - length : until], last_day=last, as_of=as_of)
        for item, until in zip((left, right), lengths, strict=True)
    ]
    return both[0], both[1]


def _plausible(values: FloatArray) -> FloatArray:
    if len(values) and values.min() >= _SMALLEST and values.max() <= _LARGEST:
        return values
    figures = np.where((values >= 0.0) & (values <= _LARGEST), values, np.nan)
    figures[figures < _SMALLEST] = 0.0
    return figures


def _unbroken(days: Sequence[date]) -> bool:
    span = days[-1].toordinal() - days[0].toordinal()
    return span == len(days) - 1 and all(map(lt, days, days[1:]))
