import subprocess
import sys
from pathlib import Path

import pytest

from alphapulse.providers.candles import candle_source


def test_directory_is_chosen_when_there_is_one(tmp_path: Path) -> None:
    assert candle_source(tmp_path, 1).name == "directory"


def test_simulation_is_chosen_without_a_directory() -> None:
    assert candle_source(None, 1).name == "simulated"


def test_directory_that_does_not_exist_is_no_reason_to_simulate(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        candle_source(tmp_path / "nowhere", 1)


def test_serving_a_directory_imports_no_numpy(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom alphapulse.providers.candles import candle_source\n"
        f"candle_source(pathlib.Path({str(tmp_path)!r}), 1)\nprint('numpy' in sys.modules)"
    )

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "False"
