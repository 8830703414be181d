"""Where real candles are, for tests that need them."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[1]


def real_candles() -> Path:
    """Return a directory of real candles, or skip the test.

    It lies beside the repository unless ALPHAPULSE_MARKET_DATA says otherwise.
    """
    directory = Path(os.environ.get("ALPHAPULSE_MARKET_DATA") or _REPOSITORY.parent / "shared" / "data")
    if not (directory / "BTC-USD_1d.csv.gz").is_file():
        pytest.skip(
            "real candles are absent: set ALPHAPULSE_MARKET_DATA to a directory with BTC-USD_1d.csv.gz"
        )
    return directory
