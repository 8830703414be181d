"""Prices and regimes of past moments, from stored candles, read once for all tenants of a pass."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from alphapulse.data import queries
from alphapulse.data.session import Session
from alphapulse.domain.candles import Candle
from alphapulse.domain.instruments import Interval
from alphapulse.domain.outcomes import Close
from alphapulse.domain.regime import Regime, RegimeParameters, regime
from alphapulse.market.series import PAPER

_KEPT: Final = 50_000

sql = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as bars see it: the newest close by then, of which all moments of a bar share one.

    Attributes
    ----------
    symbol : str
        ``BASE-QUOTE``.
    interval : Interval
        Length of a bar.
    last_close : datetime
        When the bar closed, or should have, that had closed last.
    """

    symbol: str
    interval: Interval
    last_close: dt.datetime

    @classmethod
    def of(cls, symbol: str, interval: Interval, at: dt.datetime) -> "Moment":
        """Return the moment `at`."""
        return cls(symbol, interval, interval.open_of(at))

    @property
    def last_open(self) -> dt.datetime:
        """When that bar opened; no bar that opened later may be read for this moment."""
        return self.last_close - dt.timedelta(seconds=self.interval.seconds)


class Prices:
    """What bars say about moments; forgets nothing until it is full."""

    def __init__(self) -> None:
        self._closes: dict[Moment, Close | None] = {}
        self._regimes: dict[Moment, Regime] = {}

    def close(self, moment: Moment) -> Close | None:
        """Return the last close by a moment that has been read."""
        return self._closes[moment]

    async def read(self, session: Session, moments: Iterable[Moment]) -> None:
        """Read the last closes by these moments with one statement, as far as they are not known."""
        if len(self._closes) > _KEPT:
            self._closes.clear()
            self._regimes.clear()
        wanted = [moment for moment in dict.fromkeys(moments) if moment not in self._closes]
        if not wanted:
            return
        rows = sql.closes(
            session,
            exchange=PAPER,
            symbols=[moment.symbol for moment in wanted],
            intervals=[moment.interval.value for moment in wanted],
            last_opens=[moment.last_open for moment in wanted],
        )
        found = {row["place"] - 1: row async for row in rows}
        for place, moment in enumerate(wanted):
            row = found.get(place)
            if row is None:
                self._closes[moment] = None
                continue
            closed_at = row["open_time"] + dt.timedelta(seconds=moment.interval.seconds)
            # A bar may have been stored while it was open. It is complete when it was written after its
            # close, or another follows it.
            final = row["updated_at"] >= closed_at or row["followed"]
            self._closes[moment] = Close(row["close"], closed_at, row["source"], final)

    async def regime(self, session: Session, moment: Moment) -> Regime:
        """Return the regime of the bars that had closed by a moment."""
        known = self._regimes.get(moment)
        if known is None:
            known = self._regimes[moment] = await self._read_regime(session, moment)
        return known

    async def _read_regime(self, session: Session, moment: Moment) -> Regime:
        # numpy takes longer to import than the rest of the function; an idle process does not pay for it.
        from alphapulse.domain.series import price_series  # noqa: PLC0415 - see above

        rows = sql.bars_until(
            session,
            exchange=PAPER,
            symbol=moment.symbol,
            interval=moment.interval.value,
            last_open=moment.last_open,
            row_limit=RegimeParameters().bars_needed,
        )
        candles = [Candle(**dict(row)) async for row in rows]
        return regime(price_series(candles[::-1]))
