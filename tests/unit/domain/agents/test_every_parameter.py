"""What holds for each parameter of the six agents, and for any of them together."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.agents.parameters import InvalidParameters, Parameters
from alphapulse.domain.agents.registry import AGENT_NAMES, agent, parameters_of
from alphapulse.domain.instruments import Interval
from tests.unit.domain.agents.builders import full_evidence
from tests.unit.domain.agents.changes import CHANGES, INPUTS, noisy, without
from tests.unit.domain.agents.soundness import say

every_agent = pytest.mark.parametrize("name", AGENT_NAMES)


@pytest.fixture(scope="module", params=["simulated", "directory"])
def evidence(request: pytest.FixtureRequest) -> Evidence:
    return full_evidence(source=request.param)


@every_agent
def test_parameters_have_a_meaning_and_defaults_within_their_bounds(name: str) -> None:
    parameters = parameters_of(name)
    defaults = parameters()

    assert agent(name).parameters is parameters
    for item, bound in parameters.bounds().items():
        assert bound.least <= getattr(defaults, item) <= bound.most, item
        assert bound.least < bound.most, item
        assert len(bound.meaning) > 10, item
        assert not bound.meaning.endswith("."), item


@every_agent
def test_every_agent_has_a_horizon_that_follows_its_parameter(name: str) -> None:
    definition, parameters = agent(name), parameters_of(name)
    horizon = "horizon_bars" if name == "technical" else "horizon_days"
    longer = parameters.of({horizon: 30})

    unit = timedelta(hours=1) if name == "technical" else timedelta(days=1)
    assert definition.horizon(longer, Interval.HOUR) == 30 * unit


def test_parameters_of_all_agents_are_known_without_numpy() -> None:
    program = (
        "import sys\n"
        "from alphapulse.domain.agents.registry import AGENT_NAMES, parameters_of\n"
        "assert all(parameters_of(name)().bounds() for name in AGENT_NAMES)\n"
        "print(sorted({'numpy', 'scipy', 'pydantic'} & set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


@every_agent
def test_no_agent_needs_scipy(name: str) -> None:
    program = (
        "import sys\n"
        "from alphapulse.domain.agents.registry import agent\n"
        f"agent({name!r})\n"
        "print(sorted({'scipy', 'pandas', 'pydantic', 'vaderSentiment'} & set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


BOUNDS = [(name, item) for name in AGENT_NAMES for item in parameters_of(name).bounds()]


@pytest.mark.parametrize(("name", "item"), BOUNDS)
def test_each_parameter_at_its_bounds_leaves_an_agent_sound(name: str, item: str, evidence: Evidence) -> None:
    parameters = parameters_of(name)
    bound = parameters.bounds()[item]
    changed = noisy(6, np.nan, 0.0, 1e30)(evidence)
    for value in (bound.least, bound.most):
        try:
            settings = parameters.of({item: int(value) if bound.whole else value})
        except InvalidParameters:
            continue
        say(name, evidence, settings)
        say(name, changed, settings)


@every_agent
def test_settings_drawn_at_random_from_their_bounds_leave_an_agent_sound(name: str) -> None:
    parameters, random = parameters_of(name), np.random.default_rng(8)
    evidence = full_evidence()
    sound = 0
    for _ in range(300):
        drawn_settings = {
            item: int(random.integers(int(bound.least), int(bound.most), endpoint=True))
            if bound.whole
            else float(random.uniform(bound.least, bound.most))
            for item, bound in parameters.bounds().items()
            if random.random() < 0.4
        }
        try:
            drawn = parameters.of(drawn_settings)
        except InvalidParameters:
            continue
        say(name, evidence, drawn)
        sound += 1
    assert sound > 30


_COMBINABLE = [case for case in CHANGES if case not in {"nothing gathered", "nothing in it", "full data"}]
_SPECIALS = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1.7e308, 5e-324, 1e30, 1e-30)


def random_parameters(name: str, draw: Callable[[st.SearchStrategy[float]], float]) -> Parameters:
    """Draw some settings anywhere within their bounds, edges often; the others keep their defaults."""
    settings: dict[str, float] = {}
    for item, bound in parameters_of(name).bounds().items():
        inside: st.SearchStrategy[float] = (
            st.integers(int(bound.least), int(bound.most))
            if bound.whole
            else st.floats(bound.least, bound.most)
        )
        if draw(st.integers(0, 3)) == 0:
            settings[item] = draw(inside)
    try:
        return parameters_of(name).of(settings)
    except InvalidParameters:
        return parameters_of(name)()


@every_agent
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_changes_come_together_an_agent_stays_sound(name: str, data: st.DataObject) -> None:
    evidence = full_evidence(source=data.draw(st.sampled_from(["simulated", "directory"])))
    for case in data.draw(st.lists(st.sampled_from(_COMBINABLE), max_size=3)):
        if not case.startswith("candles"):
            evidence = CHANGES[case](evidence)
    specials = data.draw(st.lists(st.sampled_from(_SPECIALS), max_size=4))
    if specials:
        evidence = noisy(data.draw(st.integers(0, 1000)), *specials)(evidence)
    gone = data.draw(st.sets(st.sampled_from(INPUTS), max_size=4))
    for missing in sorted(gone, key=lambda item: "." not in item):
        evidence = without(evidence, missing)

    first = say(name, evidence, parameters := random_parameters(name, data.draw))

    assert say(name, evidence, parameters) == first
