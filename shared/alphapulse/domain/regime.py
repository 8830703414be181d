"""The regime of a market: whether it trends and which way, ranges, or is more volatile than it has been.

Wilder's ADX says how strong a trend is, Kaufman's efficiency ratio how much of the way gone was made good;
a market trends only where both say so and agree on the side. Realised volatility, the root of the mean
squared log return, is judged against the median of its own history, so that no asset is volatile by nature.
Volatility comes first: in a jump a bar or two decide the measures of direction.

A regime is a property of the newest bars alone: exactly ``bars_needed`` of them are read, so that everybody
who has these bars finds the same one. Importing this module loads no numpy.

References
----------
J. Welles Wilder, New Concepts in Technical Trading Systems, 1978 (ADX; above 25 a market trends).
Perry J. Kaufman, Smarter Trading, 1995 (efficiency ratio).
T. G. Andersen and T. Bollerslev, Answering the Skeptics: Yes, Standard Volatility Models Do Provide Accurate
Forecasts, International Economic Review 39 (1998) (realised volatility).
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from alphapulse.domain.agents.parameters import Parameters, parameter

if TYPE_CHECKING:
    from alphapulse.domain.indicators import FloatArray
    from alphapulse.domain.series import PriceSeries


class Regime(StrEnum):
    """What kind of market it is; ``unknown`` where the bars cannot tell."""

    TRENDING_UP = "trending_up"
    TRENDING_DOWN = "trending_down"
    RANGING = "ranging"
    VOLATILE = "volatile"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RegimeParameters(Parameters):
    """Settings of the regime.

    Raises
    ------
    InvalidParameters
        When one is out of bounds.
    """

    adx_period: int = parameter(14, 2, 100, "bars of the ADX")
    adx_trending: float = parameter(25.0, 5, 80, "ADX from which a market may trend")
    efficiency_period: int = parameter(20, 2, 200, "bars of the efficiency ratio")
    efficiency_trending: float = parameter(0.3, 0.05, 0.95, "efficiency from which a market may trend")
    volatility_period: int = parameter(20, 2, 200, "bars of the realised volatility")
    volatility_history: int = parameter(100, 10, 1000, "volatilities that the newest is compared with")
    volatile_ratio: float = parameter(1.75, 1.05, 10, "volatility, in medians of its history, of turmoil")

    @property
    def bars_needed(self) -> int:
        """Bars a regime is read from."""
        return max(
            2 * self.adx_period,
            self.efficiency_period + 1,
            self.volatility_period + self.volatility_history,
        )


@dataclass(frozen=True, slots=True)
class RegimeReading:
    """A regime with the figures that decided it.

    Attributes
    ----------
    regime : Regime
        Never unknown.
    adx : float
        In [0, 100].
    efficiency : float
        In [-1, 1]; the sign is that of the move.
    volatility_ratio : float
        The newest realised volatility over the median of its history; 1 where nothing ever moved, infinite
        where only the newest bars do.
    """

    regime: Regime
    adx: float
    efficiency: float
    volatility_ratio: float


def regime(series: "PriceSeries", parameters: RegimeParameters | None = None) -> Regime:
    """Return the regime at the last bar; unknown with too few bars, or with prices that cannot be.

    Parameters
    ----------
    series : PriceSeries
        Closed bars, oldest first; the newest ``parameters.bars_needed`` are read.
    parameters : RegimeParameters, optional
        The defaults, if not given.
    """
    from alphapulse.domain.indicators import IndicatorError  # noqa: PLC0415 - numpy only when it is used

    try:
        return read_regime(series, parameters).regime
    except IndicatorError:
        return Regime.UNKNOWN


def read_regime(series: "PriceSeries", parameters: RegimeParameters | None = None) -> RegimeReading:
    """Return the regime at the last bar with its figures.

    Raises
    ------
    NotEnoughBars
        With fewer than ``parameters.bars_needed``.
    NotFinite
        For a price that is not finite, or figures of prices too extreme for float64.
    IndicatorError
        For a price that is not positive.
    """
    import numpy as np  # noqa: PLC0415 - an idle function that names regimes does not pay for it

    from alphapulse.domain import indicators  # noqa: PLC0415 - as above
    from alphapulse.domain.directional import adx, efficiency_ratio  # noqa: PLC0415 - as above

    settings = parameters or RegimeParameters()
    if len(series) < settings.bars_needed:
        raise indicators.NotEnoughBars(settings.bars_needed, len(series))
    bars = series.last(settings.bars_needed)
    if not min(bars.low.min(), bars.close.min()) > 0.0:
        raise indicators.IndicatorError("a price must be positive")
    with np.errstate(all="ignore"):  # what overflows is not finite, and refused below
        lines = adx(bars.high, bars.low, bars.close, settings.adx_period, newest=True)
        way = bars.close[-settings.efficiency_period - 1 :]
        efficiency = float(efficiency_ratio(way, settings.efficiency_period)[-1])
        directed = float(np.copysign(efficiency, way[-1] - way[0]))
        strength, rising = float(lines.adx[-1]), float(lines.plus_di[-1] - lines.minus_di[-1])
        ratio = _volatility_ratio(bars.close, settings)
    if math.isnan(ratio) or not all(map(math.isfinite, (strength, directed, rising))):
        raise indicators.NotFinite("the prices are too extreme for float64")
    found = _judged(strength, directed, ratio, rising=rising, settings=settings)
    return RegimeReading(found, strength, directed, ratio)


def _judged(
    adx: float, efficiency: float, volatility_ratio: float, *, rising: float, settings: RegimeParameters
) -> Regime:
    if volatility_ratio >= settings.volatile_ratio:
        return Regime.VOLATILE
    if adx < settings.adx_trending or abs(efficiency) < settings.efficiency_trending:
        return Regime.RANGING
    if efficiency * rising <= 0.0:
        return Regime.RANGING
    return Regime.TRENDING_UP if rising > 0.0 else Regime.TRENDING_DOWN


def _volatility_ratio(closes: "FloatArray", settings: RegimeParameters) -> float:
    import numpy as np  # noqa: PLC0415 - as above

    from alphapulse.domain.activity import realised_volatility  # noqa: PLC0415 - as above

    history = realised_volatility(closes, settings.volatility_period)[-settings.volatility_history :]
    # A sort of a hundred values takes a tenth of the time of numpy's median.
    ordered = np.sort(history)
    usual, newest = (
        float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2,
        float(history[-1]),
    )
    if usual > 0.0:
        return newest / usual
    return math.inf if newest > 0.0 else 1.0
