"""The named parameters of the activist agent, with their bounds and meanings."""

from dataclasses import dataclass
from typing import Final

from alphapulse.domain.agents.parameters import Parameters, parameter, require_order, total_weight


@dataclass(frozen=True, slots=True)
class ActivistParameters(Parameters):
    """Settings of the activist agent.

    Raises
    ------
    InvalidParameters
        When one is out of bounds, the recent days are not less than the history's, or the weights sum to
        zero.
    """

    recent_days: int = parameter(45, 7, 180, "days that are compared with the past")
    history_days: int = parameter(365, 60, 1460, "days before now that are looked at")
    min_proposals: int = parameter(5, 1, 100, "least proposals of the history")
    min_past_proposals: int = parameter(3, 1, 100, "least earlier proposals a comparison needs")
    max_age_days: int = parameter(180, 7, 730, "age of the newest proposal above which governance rests")
    max_delay_minutes: int = parameter(120, 1, 10_080, "how old the answer may be, in minutes")
    max_age_treasury_days: int = parameter(7, 1, 90, "age above which the treasury's value does not count")
    activity_full: float = parameter(3.0, 0.5, 10, "standard deviations from the usual activity scoring 1")
    turnout_full: float = parameter(1.0, 0.1, 5, "doublings of turnout that score 1")
    usual_pass_rate: float = parameter(0.8, 0.05, 0.95, "share of proposals that pass and scores 0")
    contested_margin: float = parameter(0.2, 0.01, 0.9, "margin of votes below which a vote is contested")
    treasury_full_change: float = parameter(0.3, 0.02, 2, "change of the treasury's value that scores 1")
    spending_full: float = parameter(0.5, 0.05, 1, "rise of the share of spending proposals scoring -1")
    weight_activity: float = parameter(0.20, 0, 1, "share of activity in the score")
    weight_turnout: float = parameter(0.30, 0, 1, "share of turnout in the score")
    weight_outcomes: float = parameter(0.25, 0, 1, "share of outcomes in the score")
    weight_treasury: float = parameter(0.15, 0, 1, "share of the treasury's change in the score")
    weight_spending: float = parameter(0.10, 0, 1, "share of treasury spending in the score")
    min_coverage: float = parameter(0.4, 0.05, 1, "least share of the weights that has data")
    half_confidence_proposals: float = parameter(6.0, 0.5, 100, "recent proposals giving half confidence")
    missing_source_factor: float = parameter(0.8, 0, 1, "confidence that each missing platform leaves")
    horizon_days: int = parameter(14, 1, 180, "days ahead a signal looks, after which it is scored")

    def check(self) -> None:
        """Refuse a history that is not longer than what is recent, and weights of zero."""
        require_order(self, "recent_days", "history_days")
        total_weight(self)


PARAMETERS: Final = ActivistParameters
