"""How far a backtest is, and what stops it; shared by the thread that walks and the one that waits."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta


class Stopped(Exception):
    """Nobody wants the backtest any more."""


class TimeLimitPassed(Exception):
    """It took longer than it may; the message says how far it came."""


class Watch:
    """A tick for the walk.

    Parameters
    ----------
    limit
        How long it may take from now on.
    monotonic
        Seconds.
    """

    def __init__(self, limit: timedelta, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._end = monotonic() + limit.total_seconds()
        self._stopped = threading.Event()
        self._done = 0
        self._all = 0

    @property
    def progress(self) -> float:
        """Share that is done, in [0, 1]."""
        return self._done / self._all if self._all else 0.0

    def stop(self) -> None:
        """Have the next tick raise; from any thread."""
        self._stopped.set()

    def tick(self, done: int, all_: int) -> None:
        """Note progress.

        Raises
        ------
        Stopped
            After :meth:`stop`.
        TimeLimitPassed
            The time is over.
        """
        self._done, self._all = done, all_
        if self._stopped.is_set():
            raise Stopped
        if self._monotonic() > self._end:
            raise TimeLimitPassed(
                f"after {self._limit.total_seconds():.0f} s, the longest a backtest may take, "
                f"{done} of {all_} evaluations were done; narrow from and to, or the grid"
            )
