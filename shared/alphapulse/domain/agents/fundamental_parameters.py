"""The named parameters of the fundamental agent, with their bounds and meanings."""

from dataclasses import dataclass
from typing import Final

from alphapulse.domain.agents.parameters import Parameters, parameter, require_at_most, total_weight


@dataclass(frozen=True, slots=True)
class FundamentalParameters(Parameters):
    """Settings of the fundamental agent.

    Raises
    ------
    InvalidParameters
        When one is out of bounds, the weights sum to zero, or more history is needed than is used.
    """

    history_days: int = parameter(730, 90, 3650, "days of its own past a figure is compared with")
    min_history_days: int = parameter(180, 30, 3650, "days of its own past a figure needs")
    smoothing_days: int = parameter(7, 1, 90, "days of the mean that is an activity's level")
    growth_days: int = parameter(90, 7, 730, "days over which growth and inflation are measured")
    growth_full_z: float = parameter(2.0, 0.25, 10, "growth, in deviations above its usual, scoring 1")
    nvt_smoothing_days: int = parameter(90, 1, 365, "days of the mean transfer volume in NVT")
    nvt_full_z: float = parameter(2.0, 0.25, 10, "NVT, in deviations above its usual, scoring -1")
    inflation_full_points: float = parameter(
        2.0, 0.1, 50, "yearly supply growth below its usual, in percentage points, scoring 1"
    )
    weight_transfer_volume: float = parameter(0.20, 0, 1, "share of growing transfer volume in the score")
    weight_active_addresses: float = parameter(0.20, 0, 1, "share of growing active addresses in the score")
    weight_transactions: float = parameter(0.15, 0, 1, "share of growing transactions in the score")
    weight_fees: float = parameter(0.10, 0, 1, "share of growing fees in the score")
    weight_nvt: float = parameter(0.25, 0, 1, "share of the NVT signal in the score")
    weight_inflation: float = parameter(0.10, 0, 1, "share of supply growth in the score")
    min_coverage: float = parameter(0.5, 0.05, 1, "share of the weight that must have data")
    max_age_days: int = parameter(3, 1, 30, "age of a newest figure, in days, beyond which it is stale")
    horizon_days: int = parameter(7, 1, 365, "days ahead a signal looks, after which it is scored")

    def check(self) -> None:
        """Refuse weights of zero, and a need for more history than is used."""
        require_at_most(self, "min_history_days", "history_days")
        total_weight(self)

    @property
    def days_needed(self) -> int:
        """Days from which a full history follows, the newest included."""
        before = max(self.growth_days + self.smoothing_days, self.nvt_smoothing_days)
        return self.history_days + before


PARAMETERS: Final = FundamentalParameters
