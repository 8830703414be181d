"""The named parameters of the buffett agent, with their bounds and meanings."""

from dataclasses import dataclass
from typing import Final

from alphapulse.domain.agents.parameters import (
    Parameters,
    parameter,
    require_at_most,
    require_order,
    total_weight,
)


@dataclass(frozen=True, slots=True)
class BuffettParameters(Parameters):
    """Settings of the buffett agent.

    Raises
    ------
    InvalidParameters
        When one is out of bounds, thresholds are in the wrong order, the weights sum to zero, or more history
        is needed or averaged than is used.
    """

    history_days: int = parameter(3650, 730, 7300, "days of history that are used")
    min_history_days: int = parameter(730, 365, 3650, "days of history a figure needs")
    mean_days: int = parameter(1461, 365, 3650, "days of the geometric mean of the price")
    margin_required_pct: float = parameter(
        15.0, 0, 90, "least discount to the mean price, %, without which the agent never buys"
    )
    margin_full_pct: float = parameter(50.0, 1, 99, "discount to the mean price, %, that scores +1")
    premium_full: float = parameter(4.0, 1.1, 100, "price over its mean that scores -1")
    drawdown_fair_pct: float = parameter(40.0, 1, 90, "fall from the highest price, %, that scores 0")
    drawdown_full_pct: float = parameter(80.0, 2, 99, "fall from the highest price, %, that scores +1")
    uptime_fair_pct: float = parameter(98.0, 50, 99.9, "share of days with transactions, %, that scores 0")
    age_full_years: float = parameter(6.0, 1, 20, "years since the first transaction that score +1")
    deep_drawdown_pct: float = parameter(50.0, 10, 95, "fall from a high, %, that tests a network")
    recoveries_full: int = parameter(2, 1, 10, "recoveries from deep falls that score +1")
    recovery_patience_days: int = parameter(
        1461, 180, 3650, "days below a high after which a deep fall counts as not recovered"
    )
    moat_years: int = parameter(4, 2, 10, "years over which the moat's growth is measured")
    moat_fair_share: float = parameter(0.6, 0.05, 0.95, "newest year over the best year that scores 0")
    moat_full_growth_pct: float = parameter(25.0, 1, 1000, "growth of the moat, % a year, that scores 1")
    weight_margin: float = parameter(0.50, 0, 1, "share of the margin of safety in the score")
    weight_drawdown: float = parameter(0.15, 0, 1, "share of the fall from the highest price in the score")
    weight_uptime: float = parameter(0.05, 0, 1, "share of days with activity in the score")
    weight_age: float = parameter(0.05, 0, 1, "share of the network's age in the score")
    weight_recoveries: float = parameter(0.05, 0, 1, "share of recovered drawdowns in the score")
    weight_addresses_level: float = parameter(0.05, 0, 1, "share of the level of users in the score")
    weight_addresses_trend: float = parameter(0.05, 0, 1, "share of the growth of users in the score")
    weight_fees_level: float = parameter(0.05, 0, 1, "share of the level of fees in the score")
    weight_fees_trend: float = parameter(0.05, 0, 1, "share of the growth of fees in the score")
    min_coverage: float = parameter(0.75, 0.05, 1, "share of the weight that must have data")
    max_age_days: int = parameter(3, 1, 30, "age of a newest figure, in days, beyond which it is stale")
    horizon_days: int = parameter(90, 7, 1461, "days ahead a signal looks, after which it is scored")

    def check(self) -> None:
        """Refuse thresholds in the wrong order, weights of zero, and windows beyond the history."""
        require_order(self, "drawdown_fair_pct", "drawdown_full_pct")
        require_at_most(self, "margin_required_pct", "margin_full_pct")
        require_at_most(self, "min_history_days", "history_days")
        require_at_most(self, "mean_days", "history_days")
        total_weight(self)


PARAMETERS: Final = BuffettParameters
