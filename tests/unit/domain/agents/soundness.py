"""What must be true of anything an agent says."""

import json
import warnings

import numpy as np

from alphapulse.domain.agents.evidence import Evidence, is_ahead
from alphapulse.domain.agents.parameters import Parameters
from alphapulse.domain.agents.registry import agent
from alphapulse.domain.signals import Abstention, Signal, signal_document, signal_from_score
from tests.unit.domain.agents.builders import judged


def assert_sound(spoken: Signal | Abstention, name: str, evidence: Evidence) -> None:
    """Assert what must be true of anything an agent says."""
    definition = agent(name)
    assert (spoken.agent, spoken.agent_version) == (name, definition.version)
    assert (spoken.symbol, spoken.generated_at) == (evidence.symbol, evidence.now)
    assert all(item.source for item in spoken.inputs)
    # Refuses NaN and infinities, which JSON does not have.
    json.dumps(signal_document(spoken), allow_nan=False)
    if isinstance(spoken, Abstention):
        assert spoken.reason.strip()
        return
    assert -1.0 <= spoken.score <= 1.0
    assert 0.0 <= spoken.confidence <= 1.0
    assert spoken.signal is signal_from_score(spoken.score)
    assert spoken.inputs
    assert not any(is_ahead(item.as_of, item.source, now=evidence.now) for item in spoken.inputs)
    assert spoken.reasons
    assert all(reason.strip() for reason in spoken.reasons)
    assert any(character.isdigit() for character in " ".join(spoken.reasons))


def say(name: str, evidence: Evidence, parameters: Parameters | None = None) -> Signal | Abstention:
    """Let an agent speak; whatever numpy complains about is an error."""
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        spoken = judged(name, evidence, parameters)
    assert_sound(spoken, name, evidence)
    return spoken
