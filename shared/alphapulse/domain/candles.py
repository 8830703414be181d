"""Candles: one bar of prices, the gaps between bars, and coarser bars from finer ones.

Nothing here invents a bar: a missing one is reported, never interpolated.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from operator import sub

from alphapulse.domain.instruments import Interval
from alphapulse.domain.money import ZERO, decimal_text, exact


class InvalidCandle(ValueError):
    """A candle's prices contradict each other, or bars are out of order."""


@dataclass(frozen=True, slots=True)
class Candle:
    """Prices and volume of one bar.

    Attributes
    ----------
    open_time : datetime
        When the bar opens; aware, UTC.
    open, high, low, close : Decimal
        Positive, in the quote currency.
    volume : Decimal
        Not negative, as the venue counts it.
    """

    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def validate(self) -> None:
        """Check that the low is the lowest and the high the highest price.

        Raises
        ------
        InvalidCandle
            Saying which value is wrong.
        """
        if self.low <= 0:
            raise InvalidCandle(f"low must be positive, was {decimal_text(self.low)}")
        if self.low > min(self.open, self.close):
            raise InvalidCandle(f"low {decimal_text(self.low)} is above open or close")
        if self.high < max(self.open, self.close):
            raise InvalidCandle(f"high {decimal_text(self.high)} is below open or close")
        if self.volume < 0:
            raise InvalidCandle(f"volume must not be negative, was {decimal_text(self.volume)}")


@dataclass(frozen=True, slots=True)
class Gap:
    """Bars that are missing one after the other.

    Attributes
    ----------
    first_missing, last_missing : datetime
        Open times of the first and the last missing bar; the same when one is missing.
    count : int
        How many are missing.
    """

    first_missing: datetime
    last_missing: datetime
    count: int


def find_gaps(open_times: Sequence[datetime], interval: Interval) -> list[Gap]:
    """Find the bars missing between the first and the last of a series.

    Parameters
    ----------
    open_times : sequence of datetime
        Strictly ascending, whole intervals apart.
    interval : Interval
        Length of a bar.

    Returns
    -------
    list of Gap
        In order of time; empty for an unbroken series.

    Raises
    ------
    InvalidCandle
        When the times do not ascend or are not whole intervals apart.
    """
    step = timedelta(seconds=interval.seconds)
    steps = list(map(sub, open_times[1:], open_times))
    if steps.count(step) == len(steps):
        return []
    gaps = []
    for earlier, later in pairwise(open_times):
        bars, rest = divmod(later - earlier, step)
        if bars < 1 or rest:
            raise InvalidCandle(
                f"bars of {interval} must ascend by whole intervals, "
                f"found {earlier.isoformat()} before {later.isoformat()}"
            )
        if bars > 1:
            gaps.append(Gap(earlier + step, later - step, bars - 1))
    return gaps


def aggregate(candles: Iterable[Candle], *, finer: Interval, coarser: Interval) -> list[Candle]:
    """Combine bars into coarser ones, leaving out those that miss any of their parts.

    Parameters
    ----------
    candles : iterable of Candle
        Of the finer interval, strictly ascending.
    finer, coarser : Interval
        The coarser must be a whole multiple of the finer.

    Returns
    -------
    list of Candle
        Complete bars only, so that an incomplete one shows as a gap.

    Raises
    ------
    InvalidCandle
        When the intervals do not divide.
    """
    parts, rest = divmod(coarser.seconds, finer.seconds)
    if rest or parts < 1:
        raise InvalidCandle(f"bars of {coarser} cannot be made of bars of {finer}")
    return list(_combined(candles, coarser, parts))


def _combined(candles: Iterable[Candle], coarser: Interval, parts: int) -> Iterator[Candle]:
    for open_time, group in groupby(candles, key=lambda candle: coarser.open_of(candle.open_time)):
        bars = list(group)
        if len(bars) != parts:
            continue
        with exact():
            volume = sum((bar.volume for bar in bars), ZERO)
        yield Candle(
            open_time=open_time,
            open=bars[0].open,
            high=max(bar.high for bar in bars),
            low=min(bar.low for bar in bars),
            close=bars[-1].close,
            volume=volume,
        )
