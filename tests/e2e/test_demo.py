"""`make demo` tells its story and exits 0, on the running platform and on the simulation of its own."""

import subprocess
import sys

import pytest

from alphapulse_local.testing import RunningPlatform
from tests.processes import ROOT, minimal_environment

pytestmark = pytest.mark.e2e


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alphapulse_local", "demo", *arguments],
        cwd=ROOT,
        env=minimal_environment() | {"COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_the_demo_on_a_running_platform_shows_signals_trades_and_isolation(platform: RunningPlatform) -> None:
    done = run_demo("--url", platform.url)

    assert done.returncode == 0, done.stdout + done.stderr
    for promised in ("technical", "RSI(14)", "consensus", "filled", "equity", "404", "source: directory"):
        assert promised in done.stdout


def test_the_demo_against_nothing_fails_with_a_reason() -> None:
    done = run_demo("--url", "http://127.0.0.1:9")

    assert done.returncode == 1
    assert "POST /auth/signup" in done.stdout


def test_the_demo_on_a_platform_of_its_own_says_that_prices_are_simulated() -> None:
    done = run_demo("--own")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIMULATED" in done.stdout
