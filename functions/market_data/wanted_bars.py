"""Bars of a source that are to be stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from alphapulse.domain.candles import Candle


@dataclass(frozen=True, slots=True)
class Continuation:
    """Bars to store.

    Attributes
    ----------
    candles : sequence of Candle
        Oldest first; may begin with bars that are stored already.
    replaces : bool
        The stored bars are not the beginning of this series and have to go.
    """

    candles: Sequence[Candle]
    replaces: bool
