"""The activist agent: whether those who hold an asset take part in governing it, and to what end.

Five components, each compared with the asset's own past and each in [-1, 1]:

- activity: proposals begun lately, against what their number was before, in standard deviations of a Poisson
  count; more is engagement;
- turnout: the median share of voting power (of what is eligible; else of the quorum) that took part lately,
  in doublings of the earlier median;
- outcomes: the share of recent votes that passed, against what is usual, less the share that was contested;
- treasury: how its value changed lately;
- spending: how far the share of proposals that spend the treasury rose above its earlier level.

A component without data is left out by name, and the confidence falls with its weight. An asset without
governance has nothing to judge, and the agent abstains. Confidence is that of the combined components, grows
with the number of recent proposals, and falls with every platform that is missing.

That low turnout and concentrated power are what distinguishes governance tokens follows Feichtinger, Fritsch,
Vonlanthen and Wattenhofer; that contests and passed demands move value follows Gillan and Starks.

References
----------
Feichtinger et al., The Hidden Shortcomings of (D)AOs: An Empirical Study of On-Chain Governance, 2023
(arXiv 2302.12125). Gillan and Starks, The Evolution of Shareholder Activism in the United States, Journal of
Applied Corporate Finance 19(1), 2007.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from alphapulse.domain.agents.activist_components import components
from alphapulse.domain.agents.activist_parameters import ActivistParameters
from alphapulse.domain.agents.activist_record import Record, record_of
from alphapulse.domain.agents.components import combine, too_little
from alphapulse.domain.agents.definition import AgentDefinition
from alphapulse.domain.agents.evidence import Dataset, Evidence, Governance, is_ahead, is_stale
from alphapulse.domain.signals import Abstention, AgentVoice, Signal, SignalInput

AGENT: Final = "activist"
AGENT_VERSION: Final = "1.0.0"


def speak(evidence: Evidence, parameters: ActivistParameters) -> Signal | Abstention:
    """Judge a symbol by the governance of its base asset.

    Parameters
    ----------
    evidence : Evidence
        Its governance. Proposals begun after ``evidence.now`` change nothing, and a vote that ends after it
        counts as running, whatever its state says.
    parameters : ActivistParameters
        Spans, weights, and what counts as much.

    Returns
    -------
    Signal or Abstention
        An abstention when the asset has no governance, the answer is too old, there are too few proposals,
        the newest is too old, or the components with data weigh too little.
    """
    voice = AgentVoice(AGENT, evidence.symbol, AGENT_VERSION, evidence.now)
    governance = evidence.governance
    if governance is None:
        return voice.abstain(evidence.why_missing(Dataset.GOVERNANCE))
    record = record_of(governance, evidence.now, parameters)
    inputs = _record_inputs(record, governance)
    missing = _missing(evidence, governance)
    refusal = _refusal(governance, record, evidence.now, parameters)
    if refusal is not None:
        return voice.abstain("; ".join((refusal, *_platform_reasons(missing))), inputs)
    combined = combine(components(record, governance, parameters), parameters)
    refusal = too_little(combined, parameters.min_coverage)
    if refusal is not None:
        return voice.abstain("; ".join((refusal, *_platform_reasons(missing))), inputs)
    recent = len(record.recent)
    size = recent / (recent + parameters.half_confidence_proposals)
    return voice.signal(
        combined.score,
        combined.confidence * size * parameters.missing_source_factor ** len(missing),
        reasons=(*combined.reasons, *combined.missing, *_platform_reasons(missing)),
        inputs=inputs + combined.inputs,
    )


def _refusal(
    governance: Governance, record: Record, now: datetime, parameters: ActivistParameters
) -> str | None:
    retrieved_at, max_delay = governance.retrieved_at, timedelta(minutes=parameters.max_delay_minutes)
    if is_ahead(retrieved_at, governance.source, now=now):
        return f"the proposals were retrieved at {retrieved_at.isoformat()}, after the signal"
    if is_stale(retrieved_at, governance.source, now=now, max_age=max_delay):
        oldest = (now - max_delay).isoformat()
        return f"the proposals were retrieved at {retrieved_at.isoformat()}, before {oldest}"
    if len(record.proposals) < parameters.min_proposals:
        return (
            f"needs {parameters.min_proposals} governance proposals of the last {parameters.history_days} "
            f"days, found {len(record.proposals)}"
        )
    age_days = record.age(record.proposals[-1]).days
    if age_days > parameters.max_age_days:
        return f"the newest proposal is {age_days} days old, at most {parameters.max_age_days} are tolerated"
    return None


def _missing(evidence: Evidence, governance: Governance) -> Mapping[str, str]:
    return {**evidence.silent_sources(Dataset.GOVERNANCE), **governance.missing}


def _platform_reasons(missing: Mapping[str, str]) -> list[str]:
    return [f"nothing from {platform}: {why}" for platform, why in sorted(missing.items())]


def _record_inputs(record: Record, governance: Governance) -> tuple[SignalInput, ...]:
    figures = {
        "proposals": len(record.proposals),
        "recent_proposals": len(record.recent),
        "decided_proposals": len(record.decided),
    }
    return tuple(
        SignalInput(name, value, governance.retrieved_at, governance.source)
        for name, value in figures.items()
    )


DEFINITION: Final = AgentDefinition(
    name=AGENT,
    version=AGENT_VERSION,
    parameters=ActivistParameters,
    reads=frozenset({Dataset.GOVERNANCE}),
    speak=speak,
    bars=lambda _: 0,
    horizon=lambda parameters, _: timedelta(days=parameters.horizon_days),
)
