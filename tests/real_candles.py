"""Real candles for tests that need them and nothing else."""

from pathlib import Path

import pytest

from tests.market_files import REAL, real_files_present


def real_candles() -> Path:
    """Return the directory of real candles, or skip the test."""
    if not real_files_present():
        pytest.skip(
            "real candles are absent: set ALPHAPULSE_MARKET_DATA to a directory with BTC-USD_1d.csv.gz"
        )
    return REAL
