"""The five components of the activist agent's score, each from the asset's own past."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import TypeAlias

import numpy as np

from alphapulse.domain.agents.activist_parameters import ActivistParameters
from alphapulse.domain.agents.activist_record import Record, positive, turnout
from alphapulse.domain.agents.components import Absence, Component
from alphapulse.domain.agents.evidence import DailySeries, Governance, Proposal, end_of, is_stale, unit
from alphapulse.domain.signals import SignalInput

_Value: TypeAlias = tuple[datetime, float]


def components(
    record: Record, governance: Governance, parameters: ActivistParameters
) -> tuple[Component | Absence, ...]:
    """Return all five, in the order of their meaning; those without data say why."""
    return (
        _activity(record, governance, parameters),
        _turnout(record, governance, parameters),
        _outcomes(record, governance, parameters),
        _treasury(record, governance, parameters),
        _spending(record, governance, parameters),
    )


def _activity(record: Record, governance: Governance, parameters: ActivistParameters) -> Component | Absence:
    past = record.past
    if len(past) < parameters.min_past_proposals:
        return Absence("activity", f"{len(past)} earlier proposals are too few to compare with")
    # A young organisation, or an answer that was cut off, does not reach back over the whole history.
    reach = (record.age(past[0]) - record.recent_span) / timedelta(days=1)
    past_days = min(
        max(reach, parameters.recent_days), max(parameters.history_days - parameters.recent_days, 1)
    )
    recent, usual = len(record.recent), len(past) / past_days * parameters.recent_days
    deviation = (recent - usual) / math.sqrt(usual)
    reason = (
        f"activity: {recent} proposals in {parameters.recent_days} days, usual are {usual:.1f} "
        f"({deviation:+.1f} standard deviations)"
    )
    score = unit(deviation / parameters.activity_full)
    return Component("activity", score, reason, _input(governance, "usual_proposals", usual))


def _turnout(record: Record, governance: Governance, parameters: ActivistParameters) -> Component | Absence:
    recent, past = (
        _turnouts(record, proposals, governance.eligible_votes) for proposals in (record.recent, record.past)
    )
    if not recent:
        return Absence("turnout", "no recent vote ended with an eligible number or a quorum to measure it by")
    if len(past) < parameters.min_past_proposals:
        return Absence("turnout", f"{len(past)} earlier votes are too few to compare with")
    now, before = median(recent), median(past)
    doublings = math.log2(now) - math.log2(before)
    measure = "eligible votes" if positive(governance.eligible_votes) else "the quorum"
    reason = (
        f"turnout: the median of {len(recent)} recent votes is {now:.2%} of {measure}, of {len(past)} "
        f"earlier ones {before:.2%}"
    )
    inputs = _input(governance, "turnout", now) + _input(governance, "past_turnout", before)
    return Component("turnout", unit(doublings / parameters.turnout_full), reason, inputs)


def _turnouts(record: Record, proposals: Sequence[Proposal], eligible: float | None) -> list[float]:
    shares = [turnout(proposal, eligible) for proposal in proposals if record.is_voted(proposal)]
    return [share for share in shares if share is not None]


def _outcomes(record: Record, governance: Governance, parameters: ActivistParameters) -> Component | Absence:
    decided = [proposal for proposal in record.recent if record.is_decided(proposal)]
    if not decided:
        return Absence("outcomes", "no recent vote has ended in for or against")
    pass_rate = sum(proposal.state == "passed" for proposal in decided) / len(decided)
    contested = sum(_is_contested(proposal, parameters) for proposal in decided) / len(decided)
    usual = parameters.usual_pass_rate
    above = pass_rate - usual
    score = unit((above / (1.0 - usual) if above > 0 else above / usual) - contested)
    reason = (
        f"outcomes: {pass_rate:.0%} of {len(decided)} recent votes passed (usual are {usual:.0%}), "
        f"{contested:.0%} were contested within {parameters.contested_margin:.0%}"
    )
    inputs = _input(governance, "pass_rate", pass_rate) + _input(governance, "contested_share", contested)
    return Component("outcomes", score, reason, inputs)


def _is_contested(proposal: Proposal, parameters: ActivistParameters) -> bool:
    both = proposal.votes_for + proposal.votes_against
    if not positive(both):
        return False
    return abs(proposal.votes_for - proposal.votes_against) / both < parameters.contested_margin


def _treasury(record: Record, governance: Governance, parameters: ActivistParameters) -> Component | Absence:
    if governance.treasury_usd is None:
        return Absence("treasury", "no source tells what it is worth")
    series = governance.treasury_usd.until(record.reference)
    ends = _ends(series, parameters)
    if ends is None:
        return Absence("treasury", f"there are no two values {parameters.recent_days} days apart")
    (_, before), (as_of, now) = ends
    max_age = timedelta(days=parameters.max_age_treasury_days)
    if is_stale(as_of, series.source, now=record.reference, max_age=max_age):
        return Absence("treasury", f"its last value is of {as_of.date().isoformat()}")
    change = now / before - 1.0
    if not math.isfinite(change):
        return Absence("treasury", "its values are out of all proportion")
    reason = f"treasury: worth {now:,.0f} USD, {change:+.1%} in {parameters.recent_days} days"
    inputs = (
        SignalInput("treasury_usd", now, as_of, series.source),
        SignalInput("treasury_change", round(change, 6), as_of, series.source),
    )
    score = unit(change / parameters.treasury_full_change)
    return Component("treasury", score, reason, inputs)


def _ends(series: DailySeries, parameters: ActivistParameters) -> tuple[_Value, _Value] | None:
    good = np.flatnonzero(np.isfinite(series.values) & (series.values > 0))
    if not len(good):
        return None
    last = int(good[-1])
    since = series.days[last] - timedelta(days=parameters.recent_days)
    before = [int(index) for index in good if series.days[int(index)] <= since]
    if not before:
        return None
    return _value(series, before[-1]), _value(series, last)


def _value(series: DailySeries, index: int) -> _Value:
    return end_of(series.days[index]), float(series.values[index])


def _spending(record: Record, governance: Governance, parameters: ActivistParameters) -> Component | Absence:
    recent, past = (
        [proposal.spends_treasury for proposal in proposals if proposal.spends_treasury is not None]
        for proposals in (record.recent, record.past)
    )
    if not recent or len(past) < parameters.min_past_proposals:
        return Absence("spending", "the platform does not tell which proposals spend the treasury")
    now, before = sum(recent) / len(recent), sum(past) / len(past)
    reason = f"spending: {now:.0%} of recent proposals spend the treasury, earlier {before:.0%} did"
    score = unit((before - now) / parameters.spending_full)
    return Component("spending", score, reason, _input(governance, "spending_share", now))


def _input(governance: Governance, name: str, value: float) -> tuple[SignalInput, ...]:
    return (SignalInput(name, round(value, 6), governance.retrieved_at, governance.source),)
