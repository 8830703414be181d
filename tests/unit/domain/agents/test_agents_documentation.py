from pathlib import Path

import pytest

from alphapulse.domain.agents.registry import AGENT_NAMES, agent, parameters_of
from alphapulse.domain.consensus import BUY_ABOVE, DEFAULT_WEIGHTS, QUORUM, SELL_BELOW

DOCUMENT = (Path(__file__).parents[4] / "docs" / "agents.md").read_text()


def parameters_table(name: str) -> str:
    """Return the table of an agent's parameters as the document has it."""
    parameters = parameters_of(name)
    defaults = parameters()
    rows = ["| parameter | default | from | to | meaning |", "|---|---|---|---|---|"]
    for item, bound in parameters.bounds().items():
        default = getattr(defaults, item)
        rows.append(f"| `{item}` | {default:,g} | {bound.least:,g} | {bound.most:,g} | {bound.meaning} |")
    return "\n".join(rows)


def section(name: str) -> str:
    """Return what the document says about an agent."""
    _, _, rest = DOCUMENT.partition(f"\n## {name}\n")
    return rest.partition("\n## ")[0]


@pytest.mark.parametrize("name", AGENT_NAMES)
def test_every_parameter_stands_in_the_document_with_its_bounds(name: str) -> None:
    table = parameters_table(name)

    assert table in section(name), f"docs/agents.md, section {name}, should have:\n{table}"


@pytest.mark.parametrize("name", AGENT_NAMES)
def test_document_tells_what_an_agent_reads_and_how_far_it_looks(name: str) -> None:
    definition, text = agent(name), section(name)

    reads = ", ".join(f"`{dataset.value}`" for dataset in sorted(definition.reads))
    assert f"Version {definition.version}. Reads {reads}." in text
    for topic in ("**Score.**", "**Confidence.**", "**Abstains**", "**Horizon.**", "**Sources.**"):
        assert topic in text, topic


def test_document_has_the_numbers_of_the_consensus() -> None:
    text = section("Consensus")

    for name, weight in DEFAULT_WEIGHTS.items():
        assert f"| {name} | {weight} |" in text
    assert f"above {BUY_ABOVE}" in text
    assert f"below {SELL_BELOW}" in text
    assert f"quorum of {QUORUM}" in text
