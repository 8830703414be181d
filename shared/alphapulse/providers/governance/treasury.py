"""The series of a treasury's values."""

import datetime as dt
from collections.abc import Mapping
from typing import Final

import numpy as np

from alphapulse.domain.agents.evidence import DailySeries

#: Further back no agent looks.
HISTORY_DAYS: Final = 730


def treasury_series(by_day: Mapping[dt.date, float], *, source: str, now: dt.datetime) -> DailySeries:
    """Return the newest two years of a treasury's values.

    Parameters
    ----------
    by_day
        US dollars at the end of each day, in order.
    source
        Where they come from.
    now
        When they were retrieved; aware, UTC.
    """
    days = tuple(by_day)[-HISTORY_DAYS:]
    values = np.array([by_day[day] for day in days], dtype=np.float64)
    values.flags.writeable = False  # all who read it share it
    return DailySeries("treasury_usd", days, values, source, now)
