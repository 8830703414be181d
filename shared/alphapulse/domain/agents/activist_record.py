"""The proposals of an asset as they were at one moment: recent and past, decided and running."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from alphapulse.domain.agents.activist_parameters import ActivistParameters
from alphapulse.domain.agents.evidence import REPLAY_SOURCE, Governance, Proposal

_DECIDED: Final = frozenset({"passed", "defeated"})
_VOTED: Final = frozenset({"passed", "defeated", "closed"})


@dataclass(frozen=True, slots=True)
class Record:
    """Proposals begun within the history, oldest first.

    Attributes
    ----------
    proposals : tuple of Proposal
        Each once, cancelled ones left out.
    reference : datetime
        The moment they are looked at.
    recent_span : timedelta
        How long before it is recent.
    """

    proposals: tuple[Proposal, ...]
    reference: datetime
    recent_span: timedelta

    @property
    def recent(self) -> list[Proposal]:
        """Proposals begun in the recent days."""
        return [proposal for proposal in self.proposals if self._is_recent(proposal)]

    @property
    def past(self) -> list[Proposal]:
        """Proposals begun before."""
        return [proposal for proposal in self.proposals if not self._is_recent(proposal)]

    @property
    def decided(self) -> list[Proposal]:
        """Proposals that had passed or failed by then."""
        return [proposal for proposal in self.proposals if self.is_decided(proposal)]

    def is_decided(self, proposal: Proposal) -> bool:
        """Tell whether the vote had ended in for or against."""
        return proposal.state in _DECIDED and proposal.ended_at <= self.reference

    def is_voted(self, proposal: Proposal) -> bool:
        """Tell whether the vote had ended, among options too."""
        return proposal.state in _VOTED and proposal.ended_at <= self.reference

    def age(self, proposal: Proposal) -> timedelta:
        """Return how long before the moment a proposal was begun."""
        return self.reference - proposal.started_at

    def _is_recent(self, proposal: Proposal) -> bool:
        return self.age(proposal) < self.recent_span


def record_of(governance: Governance, now: datetime, parameters: ActivistParameters) -> Record:
    """Return what was known of the proposals at a moment.

    A replay's proposals are as old as its files: its moment is the end of the newest vote there was by now.
    """
    reference = _reference(governance, now)
    history = timedelta(days=parameters.history_days)
    begun: dict[str, Proposal] = {}
    for proposal in governance.proposals:
        if timedelta() <= reference - proposal.started_at < history and proposal.state != "cancelled":
            known = begun.get(proposal.id)
            # Of two versions of a proposal always the same one, whatever order they came in.
            if known is None or repr(proposal) < repr(known):
                begun[proposal.id] = proposal
    proposals = tuple(sorted(begun.values(), key=attrgetter("started_at", "id")))
    return Record(proposals, reference, timedelta(days=parameters.recent_days))


def turnout(proposal: Proposal, eligible: float | None) -> float | None:
    """Return the share of voting power that took part; None where it cannot be told.

    Without a number of eligible votes it is the share of the quorum.
    """
    whole = eligible if positive(eligible) else proposal.quorum
    if whole is None or not positive(whole) or not positive(proposal.votes):
        return None
    share = proposal.votes / whole
    return share if positive(share) else None


def positive(value: float | None) -> bool:
    """Tell whether a figure is there, finite and above 0."""
    return value is not None and math.isfinite(value) and value > 0


def _reference(governance: Governance, now: datetime) -> datetime:
    if governance.source != REPLAY_SOURCE:
        return now
    moments = [
        moment
        for proposal in governance.proposals
        for moment in (proposal.started_at, proposal.ended_at)
        if moment <= now
    ]
    return max(moments, default=now)
