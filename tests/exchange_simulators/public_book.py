"""What an exchange shows to everybody: which pairs trade, their bars and last prices, made of arithmetic."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from alphapulse.domain.instruments import Interval

Bar = tuple[int, str, str, str, str, str]


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass
class PublicBook:
    """The same bars whoever asks.

    Attributes
    ----------
    symbols
        That trade, as ``BASE-QUOTE``.
    halted
        Listed, and not trading.
    missing
        `(symbol, interval, open)` without a bar: nothing was traded.
    closes
        `(symbol, interval, open)` -> close, where it is another than the arithmetic's.
    now
        The exchange's clock.
    """

    symbols: set[str] = field(default_factory=set)
    halted: set[str] = field(default_factory=set)
    missing: set[tuple[str, Interval, dt.datetime]] = field(default_factory=set)
    closes: dict[tuple[str, Interval, dt.datetime], str] = field(default_factory=dict)
    now: Callable[[], dt.datetime] = utc_now

    def price(self, symbol: str) -> int:
        """The last price, in cents."""
        return 10_000 + sum(symbol.encode()) * 10

    def bars(self, symbol: str, interval: Interval, first: int, last: int) -> list[Bar]:
        """Bars that opened from `first` to `last` (seconds), the running one as well."""
        step = interval.seconds
        start = -(-first // step) * step
        end = min(last, int(self.now().timestamp()))
        return [
            self.bar(symbol, interval, opened)
            for opened in range(start, end + 1, step)
            if (symbol, interval, dt.datetime.fromtimestamp(opened, dt.UTC)) not in self.missing
        ]

    def bar(self, symbol: str, interval: Interval, opened: int) -> Bar:
        cents = self.price(symbol) + opened // interval.seconds % 500
        at = (symbol, interval, dt.datetime.fromtimestamp(opened, dt.UTC))
        close = self.closes.get(at, f"{(cents + 5) / 100:.2f}")
        return (
            opened,
            f"{cents / 100:.2f}",
            f"{(cents + 300) / 100:.2f}",
            f"{(cents - 300) / 100:.2f}",
            close,
            "12.34500000",
        )
