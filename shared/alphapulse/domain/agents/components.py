"""Weighted components of a score: how one agent's several views become one.

The score is the weighted mean of the components that have data. Confidence is the product of three shares:
the weight that has data, the agreement of the components (the size of their weighted sum against the sum of
their sizes), and how much of the history they ask for is there. An agent abstains when less of the weight
has data than its ``min_coverage``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alphapulse.domain.agents.evidence import unit
from alphapulse.domain.agents.parameters import Parameters
from alphapulse.domain.signals import SignalInput


@dataclass(frozen=True, slots=True)
class Component:
    """One view of the data.

    Attributes
    ----------
    name : str
        The parameter ``weight_<name>`` is its weight.
    score : float
        In [-1, 1]; positive speaks for buying.
    reason : str
        A sentence with its numbers.
    inputs : tuple of SignalInput
        The figures it was made from.
    history : float
        In [0, 1]: the share of the wanted history that is there; 1 when it needs none.
    """

    name: str
    score: float
    reason: str
    inputs: tuple[SignalInput, ...] = ()
    history: float = 1.0


@dataclass(frozen=True, slots=True)
class Absence:
    """A component without data, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Combined:
    """What components say together.

    Attributes
    ----------
    score, confidence : float
        In [-1, 1] and [0, 1].
    coverage : float
        Share of the weight that has data, in [0, 1].
    reasons : tuple of str
        Of the components.
    missing : tuple of str
        Which components have no data and why, then the coverage; empty when all have.
    inputs : tuple of SignalInput
        Of the components.
    """

    score: float
    confidence: float
    coverage: float
    reasons: tuple[str, ...]
    missing: tuple[str, ...]
    inputs: tuple[SignalInput, ...]


def combine(parts: Sequence[Component | Absence], parameters: Parameters) -> Combined:
    """Combine all components of an agent by the weights of its parameters; those of weight 0 are left out."""
    weighted = [(part, float(getattr(parameters, f"weight_{part.name}"))) for part in parts]
    present = [(part, weight) for part, weight in weighted if weight > 0 and isinstance(part, Component)]
    absent = [part for part, weight in weighted if weight > 0 and isinstance(part, Absence)]
    weight_present = sum(weight for _, weight in present)
    coverage = min(1.0, weight_present / sum(weight for _, weight in weighted))
    reasons = tuple(part.reason for part, _ in present)
    missing = _told(absent, coverage)
    inputs = tuple(item for part, _ in present for item in part.inputs)
    if weight_present <= 0:
        return Combined(0.0, 0.0, 0.0, (), missing, inputs)
    opinions = [part.score * weight for part, weight in present]
    spoken = sum(abs(opinion) for opinion in opinions)
    agreement = abs(sum(opinions)) / spoken if spoken else 0.0
    history = sum(part.history * weight for part, weight in present) / weight_present
    return Combined(
        score=unit(sum(opinions) / weight_present),
        confidence=max(0.0, unit(coverage * agreement * history)),
        coverage=coverage,
        reasons=reasons,
        missing=missing,
        inputs=inputs,
    )


def too_little(combined: Combined, least: float) -> str | None:
    """Return the reason for abstaining when less than `least` of the weight has data."""
    if combined.coverage >= least and combined.coverage > 0:
        return None
    return f"{'; '.join(combined.missing)}, {least:.0%} is needed"


def between(value: float, *, best: float, fair: float, worst: float) -> float:
    """Return +1 at `best`, 0 at `fair`, -1 at `worst` and beyond, on straight lines between them.

    ``best < fair < worst``; `value` is finite.
    """
    if value <= fair:
        return unit((fair - value) / (fair - best))
    return unit((fair - value) / (worst - fair))


def readable(value: float) -> float:
    """Return a figure with ten significant digits, for inputs that people read."""
    return float(f"{value:.10g}")


def _told(absent: Iterable[Absence], coverage: float) -> tuple[str, ...]:
    names: dict[str, list[str]] = {}
    for part in absent:
        names.setdefault(part.reason, []).append(part.name.replace("_", " "))
    told = tuple(f"not counted: {', '.join(parts)} ({reason})" for reason, parts in names.items())
    return (*told, f"{coverage:.0%} of the weight has data") if told else ()
