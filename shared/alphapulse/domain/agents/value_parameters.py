"""The named parameters of the value agent, with their bounds and meanings."""

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
class ValueParameters(Parameters):
    """Settings of the value agent.

    Raises
    ------
    InvalidParameters
        When one is out of bounds, thresholds are in the wrong order, the weights sum to zero, or more history
        is needed than is used.
    """

    history_days: int = parameter(1461, 180, 5475, "days of its own past a ratio is compared with")
    min_history_days: int = parameter(365, 90, 3650, "days of its own past a ratio needs")
    nvt_smoothing_days: int = parameter(90, 1, 365, "days of the mean transfer volume in NVT")
    mvrv_cheap: float = parameter(1.0, 0.1, 5, "market over realised value that scores +1")
    mvrv_fair: float = parameter(1.8, 0.2, 10, "market over realised value that scores 0")
    mvrv_dear: float = parameter(3.7, 0.3, 30, "market over realised value that scores -1")
    mvrv_z_cheap: float = parameter(0.0, -5, 5, "MVRV z-score that scores +1")
    mvrv_z_fair: float = parameter(1.5, -4, 10, "MVRV z-score that scores 0")
    mvrv_z_dear: float = parameter(6.0, -3, 20, "MVRV z-score that scores -1")
    unissued_fair_pct: float = parameter(25.0, 1, 90, "supply still to be issued, %, that scores 0")
    unissued_dear_pct: float = parameter(75.0, 2, 100, "supply still to be issued, %, that scores -1")
    top_10_fair_pct: float = parameter(20.0, 1, 90, "share of the ten largest holders, %, that scores 0")
    top_10_dear_pct: float = parameter(50.0, 2, 100, "share of the ten largest holders, %, that scores -1")
    top_100_fair_pct: float = parameter(40.0, 1, 95, "share of the 100 largest holders, %, that scores 0")
    top_100_dear_pct: float = parameter(80.0, 2, 100, "share of the 100 largest holders, %, that scores -1")
    weight_mvrv: float = parameter(0.25, 0, 1, "share of market over realised value in the score")
    weight_mvrv_z: float = parameter(0.25, 0, 1, "share of the MVRV z-score in the score")
    weight_nvt: float = parameter(0.25, 0, 1, "share of the NVT percentile in the score")
    weight_dilution: float = parameter(0.10, 0, 1, "share of supply still to be issued in the score")
    weight_top_10: float = parameter(0.10, 0, 1, "share of the ten largest holders in the score")
    weight_top_100: float = parameter(0.05, 0, 1, "share of the 100 largest holders in the score")
    min_coverage: float = parameter(0.5, 0.05, 1, "share of the weight that must have data")
    max_age_days: int = parameter(
        3, 1, 30, "age of a newest on-chain figure, in days, beyond which it is stale"
    )
    supply_max_age_hours: int = parameter(
        24, 1, 720, "age of a supply or holder figure, in hours, beyond which it is stale"
    )
    horizon_days: int = parameter(30, 1, 730, "days ahead a signal looks, after which it is scored")

    def check(self) -> None:
        """Refuse thresholds in the wrong order, weights of zero, and a need for more history than is used."""
        require_order(self, "mvrv_cheap", "mvrv_fair", "mvrv_dear")
        require_order(self, "mvrv_z_cheap", "mvrv_z_fair", "mvrv_z_dear")
        require_order(self, "unissued_fair_pct", "unissued_dear_pct")
        require_order(self, "top_10_fair_pct", "top_10_dear_pct")
        require_order(self, "top_100_fair_pct", "top_100_dear_pct")
        require_at_most(self, "min_history_days", "history_days")
        total_weight(self)

    @property
    def days_needed(self) -> int:
        """Days from which a full history follows, the newest included."""
        return self.history_days + self.nvt_smoothing_days


PARAMETERS: Final = ValueParameters
