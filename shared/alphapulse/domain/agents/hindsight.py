"""Evidence as it was at an earlier moment, from evidence gathered later.

What a source counted later (likes, votes of a poll that was still open, present figures) is not taken for
what was known then. What a source revised later cannot be told apart and stays: see ``docs/backtest.md``.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from alphapulse.domain.agents.evidence import Dataset, Evidence, Governance, PostSample, Proposal

_PRESENT_ONLY: Final = "the source gives present figures only, none of that time"


def as_of(evidence: Evidence, moment: datetime, *, bars: int | None = None) -> Evidence:
    """Return what was known at a moment; nothing later is in it.

    Parameters
    ----------
    evidence : Evidence
        Of that time and after.
    moment : datetime
        Aware, UTC; becomes ``now``.
    bars : int, optional
        Keep this many of the newest candles that had closed; all if not given.

    Returns
    -------
    Evidence
        Bars that had closed, days that had ended, posts there were (their likes and answers are 0), proposals
        that had started (active and without votes before their end). Single present figures dated later are
        left out, and the reason is in ``missing``.
    """
    supply = {name: item for name, item in evidence.supply.items() if item.as_of <= moment}
    missing = dict(evidence.missing)
    if len(supply) < len(evidence.supply):
        missing[Dataset.SUPPLY.value] = _PRESENT_ONLY
    return replace(
        evidence,
        now=moment,
        bars=None if evidence.bars is None else evidence.bars.until(moment, newest=bars),
        on_chain={name: series.until(moment) for name, series in evidence.on_chain.items()},
        supply=supply,
        posts=None if evidence.posts is None else _posts(evidence.posts, moment),
        governance=None if evidence.governance is None else _governance(evidence.governance, moment),
        missing=missing,
    )


def _posts(sample: PostSample, moment: datetime) -> PostSample:
    if sample.retrieved_at <= moment:
        return sample
    known = tuple(replace(post, engagement=0.0) for post in sample.posts if post.posted_at <= moment)
    return replace(sample, posts=known, retrieved_at=moment)


def _governance(governance: Governance, moment: datetime) -> Governance:
    if governance.retrieved_at <= moment:
        return governance
    treasury = governance.treasury_usd
    return replace(
        governance,
        proposals=tuple(_vote(each, moment) for each in governance.proposals if each.started_at <= moment),
        # How many votes there were to give at the time, nobody tells.
        eligible_votes=None,
        treasury_usd=None if treasury is None else treasury.until(moment),
        retrieved_at=moment,
    )


def _vote(proposal: Proposal, moment: datetime) -> Proposal:
    if proposal.ended_at <= moment:
        return proposal
    return replace(proposal, state="active", votes_for=0.0, votes_against=0.0, votes_abstain=0.0, voters=0)
