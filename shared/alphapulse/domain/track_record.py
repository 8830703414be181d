"""How good signals were: the score of one once its horizon has passed, and the sums over many.

Everything is Decimal and rounded to 12 places before it is summed, so that sums do not depend on the order
of their parts and can be made again from the outcomes to the last digit.

References
----------
Glenn W. Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 78 (1950),
1-3. Here it is the square of confidence minus what came (1 for a hit, 0 for a miss), from 0 to 1, as usual
for two outcomes: half of Brier's own sum over both. Always saying 0.5 gives 0.25.
Louis Bachelier, Theorie de la speculation, 1900: prices stray with the square root of time, and so does the
band within which to hold was right.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, Self

from alphapulse.domain.money import ZERO, exact, quantise
from alphapulse.domain.signals import Direction

#: Return, either way, up to which holding for a day was right; for other horizons times the root of the days.
HOLD_BAND_OF_A_DAY: Final = Decimal("0.02")
#: Prices that differ by more are mistaken, not moved.
MOST_RETURN: Final = Decimal(1_000_000)
PLACES: Final = 12

_CONFIDENCE_PLACES: Final = 6
_ONE: Final = Decimal(1)
_DAY: Final = timedelta(days=1)


class ImpossibleReturn(ValueError):
    """Two prices that cannot be of one thing."""


@dataclass(frozen=True, slots=True)
class Score:
    """What became of one signal.

    Attributes
    ----------
    forward_return : Decimal
        Price at the horizon over price at the signal, less 1.
    hold_band : Decimal
        Up to which return, either way, to hold was right.
    hit : bool
        Whether the signal's direction was right.
    brier : Decimal
        In [0, 1]; lower is better.
    """

    forward_return: Decimal
    hold_band: Decimal
    hit: bool
    brier: Decimal


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """Sums over outcomes, with the averages that follow.

    Attributes
    ----------
    scored, unscorable, hits : int
        Outcomes with a score, those that could have none, and the scored ones that were right.
    forward_return_sum : Decimal
        Of the returns as they were.
    directed_return_sum : Decimal
        Of the returns the signals stood for: a buy's as it was, a sell's turned round, a hold's none.
    confidence_sum, brier_sum : Decimal
        Over the scored ones.
    """

    scored: int = 0
    unscorable: int = 0
    hits: int = 0
    forward_return_sum: Decimal = ZERO
    directed_return_sum: Decimal = ZERO
    confidence_sum: Decimal = ZERO
    brier_sum: Decimal = ZERO

    @classmethod
    def of_score(cls, direction: Direction, confidence: float, score: Score) -> Self:
        """Return the record of a single scored signal."""
        sign = {Direction.BUY: _ONE, Direction.SELL: -_ONE, Direction.HOLD: ZERO}[direction]
        return cls(
            scored=1,
            hits=int(score.hit),
            forward_return_sum=score.forward_return,
            directed_return_sum=sign * score.forward_return,
            confidence_sum=_confidence(confidence),
            brier_sum=score.brier,
        )

    @classmethod
    def of_unscorable(cls) -> Self:
        """Return the record of a single signal that could not be scored."""
        return cls(unscorable=1)

    @classmethod
    def total(cls, records: Iterable["TrackRecord"]) -> Self:
        """Return the record of all of them together."""
        parts = list(records)
        with exact():
            return cls(
                scored=sum(part.scored for part in parts),
                unscorable=sum(part.unscorable for part in parts),
                hits=sum(part.hits for part in parts),
                forward_return_sum=sum((part.forward_return_sum for part in parts), ZERO),
                directed_return_sum=sum((part.directed_return_sum for part in parts), ZERO),
                confidence_sum=sum((part.confidence_sum for part in parts), ZERO),
                brier_sum=sum((part.brier_sum for part in parts), ZERO),
            )

    @property
    def hit_rate(self) -> Decimal | None:
        """Share of the scored that were right; None when none is scored, as for all averages."""
        return self._average(Decimal(self.hits))

    @property
    def average_forward_return(self) -> Decimal | None:
        """Mean return after a signal, whatever it said."""
        return self._average(self.forward_return_sum)

    @property
    def average_directed_return(self) -> Decimal | None:
        """Mean return in the direction of the signals."""
        return self._average(self.directed_return_sum)

    @property
    def average_confidence(self) -> Decimal | None:
        """Mean confidence; beside the hit rate it tells whether the agent knows how good it is."""
        return self._average(self.confidence_sum)

    @property
    def brier(self) -> Decimal | None:
        """Mean Brier score."""
        return self._average(self.brier_sum)

    def _average(self, total: Decimal) -> Decimal | None:
        if not self.scored:
            return None
        with exact():
            return quantise(total / self.scored, places=PLACES)


def score(
    direction: Direction,
    confidence: float,
    *,
    signal_price: Decimal,
    horizon_price: Decimal,
    horizon: timedelta,
) -> Score:
    """Return what became of a signal.

    Parameters
    ----------
    direction, confidence
        What the signal said, and how sure it was, in [0, 1].
    signal_price, horizon_price
        Positive, of the same instrument.
    horizon
        From the signal to its horizon; positive.

    Raises
    ------
    ImpossibleReturn
        A price is not positive, or they differ by a factor of a million.
    """
    gained = forward_return(signal_price, horizon_price)
    band = hold_band(horizon)
    hit = is_hit(direction, gained, band)
    with exact():
        brier = (_confidence(confidence) - int(hit)) ** 2
    return Score(gained, band, hit, brier)


def forward_return(signal_price: Decimal, horizon_price: Decimal) -> Decimal:
    """Return the simple return from one price to another, to 12 places.

    Raises
    ------
    ImpossibleReturn
        As :func:`score`.
    """
    if not (signal_price > 0 and horizon_price > 0):
        raise ImpossibleReturn(f"prices must be positive, were {signal_price} and {horizon_price}")
    with exact():
        ratio = horizon_price / signal_price
        if not 1 / MOST_RETURN <= ratio <= MOST_RETURN:
            raise ImpossibleReturn(f"a price cannot go from {signal_price:f} to {horizon_price:f}")
        return quantise(ratio - 1, places=PLACES)


def hold_band(horizon: timedelta) -> Decimal:
    """Return up to which return, either way, to hold was right over a horizon."""
    with exact():
        days = Decimal(horizon // timedelta(microseconds=1)) / Decimal(_DAY // timedelta(microseconds=1))
        return quantise(HOLD_BAND_OF_A_DAY * days.sqrt(), places=PLACES)


def is_hit(direction: Direction, gained: Decimal, band: Decimal) -> bool:
    """Tell whether a direction was right: a buy gained, a sell lost, a hold stayed within the band."""
    if direction is Direction.BUY:
        return gained > 0
    return gained < 0 if direction is Direction.SELL else abs(gained) <= band


def _confidence(confidence: float) -> Decimal:
    # Signals carry six places; the shortest text of the float has them back.
    return quantise(Decimal(str(float(confidence))), places=_CONFIDENCE_PLACES)
