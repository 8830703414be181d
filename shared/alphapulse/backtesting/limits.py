"""How large a backtest may be: for anybody, and for a tenant of a tier."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from alphapulse.backtesting.request import BacktestRequest
from alphapulse.tenancy.principal import Tier

#: Bars of one backtest; longer histories are asked for in parts.
MOST_BARS: Final = 50_000
#: After which a backtest of a tenant fails: below the 10 minutes a delivery may take.
TIME_LIMIT: Final = dt.timedelta(minutes=8)
#: After which one that nobody has taken up has failed.
DEADLINE: Final = dt.timedelta(hours=1)
#: After its deadline one that was taken up just before it may still end by itself.
LAST_ENDING: Final = TIME_LIMIT + dt.timedelta(minutes=1)
#: Ended ones that are kept of a tenant; older ones are removed when a new one is asked for.
KEPT: Final = 200


class TooLarge(ValueError):
    """A backtest would be larger than is allowed; the message names limit and size."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a tier includes.

    Attributes
    ----------
    evaluations : int
        Bars times combinations of the grid.
    candidates : int
        Combinations of the grid.
    unfinished : int
        Backtests waiting or running at once.
    """

    evaluations: int
    candidates: int
    unfinished: int


LIMITS: Final[Mapping[Tier, Limits]] = {
    Tier.STARTER: Limits(evaluations=50_000, candidates=8, unfinished=2),
    Tier.PRO: Limits(evaluations=100_000, candidates=32, unfinished=5),
    Tier.ENTERPRISE: Limits(evaluations=200_000, candidates=64, unfinished=20),
}


def require_bars(bars: int) -> None:
    """Refuse more bars than any backtest may have.

    Raises
    ------
    TooLarge
    """
    if bars > MOST_BARS:
        raise TooLarge(f"a backtest may have {MOST_BARS} bars, there are more; narrow from and to")


def require_within(tier: Tier, request: BacktestRequest, bars: int) -> None:
    """Refuse what is more than a tier includes.

    Raises
    ------
    TooLarge
    """
    limits, candidates = LIMITS[tier], request.plan.size
    if candidates > limits.candidates:
        raise TooLarge(
            f"the tier {tier} includes grids of {limits.candidates} combinations, was {candidates}"
        )
    if bars * candidates > limits.evaluations:
        raise TooLarge(
            f"the tier {tier} includes {limits.evaluations} evaluations (bars times combinations), "
            f"was {bars * candidates}"
        )
