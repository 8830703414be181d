"""What a simulated trade costs, how much is traded, and how parameters are chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from typing import Any, Final

from alphapulse.domain.money import decimal_text

#: Folds beyond these leave too little in each to judge by.
MAX_FOLDS: Final = 12

_MOST_BPS: Final = Decimal(1000)
_MOST_EQUITY: Final = Decimal(10) ** 12
_MOST_PARAMETERS: Final = 4


class InvalidTerms(ValueError):
    """Terms or folds that make no sense; the message names what was found."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How the simulated account trades.

    Attributes
    ----------
    starting_equity : Decimal
        In the quote currency.
    position_fraction : Decimal
        Share of the cash that a position is opened with, above 0 and at most 1.
    fee_bps : Decimal
        Of the notional, paid in the quote currency, per fill.
    slippage_bps : Decimal
        By which a fill is worse than the open: a buy above it, a sell below.
    short : bool
        Whether a sell signal opens a short position; otherwise it only closes a long one.

    Raises
    ------
    InvalidTerms
    """

    starting_equity: Decimal = Decimal(10_000)
    position_fraction: Decimal = Decimal(1)
    fee_bps: Decimal = Decimal(10)
    slippage_bps: Decimal = Decimal(5)
    short: bool = False

    def __post_init__(self) -> None:
        _require("starting_equity", self.starting_equity, least=Decimal(1), most=_MOST_EQUITY)
        _require("position_fraction", self.position_fraction, least=Decimal("0.0001"), most=Decimal(1))
        _require("fee_bps", self.fee_bps, least=Decimal(0), most=_MOST_BPS)
        _require("slippage_bps", self.slippage_bps, least=Decimal(0), most=_MOST_BPS)


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Parameters chosen anew for each stretch of bars, on the bars before it only.

    Attributes
    ----------
    folds : int
        Stretches that are judged; one more before them is only learnt from. 0 judges all bars with the given
        parameters.
    grid : mapping of parameter name to values
        Every combination is a candidate; empty when the parameters are given.

    Raises
    ------
    InvalidTerms
    """

    folds: int = 0
    grid: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.folds <= MAX_FOLDS:
            raise InvalidTerms(f"folds must be from 0 to {MAX_FOLDS}, was {self.folds}")
        if self.grid and not self.folds:
            raise InvalidTerms(
                "a grid needs folds: without them parameters would be chosen on the bars that judge them"
            )
        if len(self.grid) > _MOST_PARAMETERS:
            raise InvalidTerms(f"a grid may vary {_MOST_PARAMETERS} parameters, was {len(self.grid)}")
        empty = sorted(name for name, values in self.grid.items() if not values)
        if empty:
            raise InvalidTerms(f"a grid needs values for each parameter, none for {', '.join(empty)}")

    @property
    def candidates(self) -> list[dict[str, Any]]:
        """Every combination of the grid, in its order; one empty combination without a grid."""
        names = list(self.grid)
        return [dict(zip(names, values, strict=True)) for values in product(*self.grid.values())]

    @property
    def size(self) -> int:
        """How many combinations there are, without making them."""
        size = 1
        for values in self.grid.values():
            size *= len(values)
        return size


def _require(name: str, value: Decimal, *, least: Decimal, most: Decimal) -> None:
    if not value.is_finite() or not least <= value <= most:
        shown = decimal_text(value) if value.is_finite() else str(value)
        raise InvalidTerms(f"{name} must be from {decimal_text(least)} to {decimal_text(most)}, was {shown}")
