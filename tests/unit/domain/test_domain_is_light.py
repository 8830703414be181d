import subprocess
import sys

import pytest

EVENT_FUNCTION_MODULES = (
    "agents.activist_parameters",
    "agents.definition",
    "agents.registry",
    "agents.sentiment_parameters",
    "agents.technical_parameters",
    "candles",
    "consensus",
    "instruments",
    "limits",
    "money",
    "orders",
    "outcomes",
    "paper",
    "performance",
    "positions",
    "pretrade",
    "quotes",
    "regime",
    "signals",
    "track_record",
)


@pytest.mark.parametrize("names", [(), EVENT_FUNCTION_MODULES], ids=["package", "modules"])
def test_domain_without_indicators_imports_no_numpy(names: tuple[str, ...]) -> None:
    imports = "\n".join(["import alphapulse.domain", *(f"import alphapulse.domain.{name}" for name in names)])
    program = f"{imports}\nimport sys\nprint(sorted({{'numpy', 'scipy', 'pydantic'}} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
