"""What a decision is made from: the tenant's settings, the consensus, and the exchange's answers."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alphapulse.domain.auto_trade import AutoTradeTerms
from alphapulse.domain.instruments import Instrument
from alphapulse.domain.signals import Direction
from alphapulse.venues.protocol import Ticker


@dataclass(frozen=True, slots=True)
class Settings:
    """What the tenant allows."""

    version: int
    exchange: str
    symbols: frozenset[str]
    terms: AutoTradeTerms
    halted: bool

    @classmethod
    def of(cls, row: Any) -> "Settings | None":
        """Read a row; None when auto-trading is off."""
        if row is None or not row["enabled"]:
            return None
        terms = AutoTradeTerms(
            min_score=row["min_score"],
            position_pct=row["position_pct"],
            cooldown=dt.timedelta(seconds=row["cooldown_seconds"]),
            max_orders_per_day=row["max_orders_per_day"],
        )
        halted = row["halted_at"] is not None
        return cls(row["version"], row["exchange"], frozenset(row["symbols"]), terms, halted=halted)

    def covers(self, symbol: str) -> bool:
        """Tell whether a symbol may be traded; without a list all may."""
        return not self.symbols or symbol in self.symbols


@dataclass(frozen=True, slots=True)
class Consensus:
    """What was reached."""

    id: uuid.UUID
    run_id: uuid.UUID
    symbol: str
    direction: Direction
    score: Decimal
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Market:
    """What has to be asked of the exchange before deciding.

    Attributes
    ----------
    instrument : Instrument
        Rules of the symbol.
    asked : frozenset of str
        Symbols whose prices were asked for.
    tickers : mapping of symbol to Ticker
        Those that have one.
    """

    instrument: Instrument
    asked: frozenset[str]
    tickers: Mapping[str, Ticker]
