"""Where real candles are."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def market_data() -> Path:
    """Directory of real candles, beside the repository unless ALPHAPULSE_MARKET_DATA says otherwise."""
    directory = Path(os.environ.get("ALPHAPULSE_MARKET_DATA") or _REPOSITORY.parent / "shared" / "data")
    if not (directory / "BTC-USD_1d.csv.gz").is_file():
        pytest.skip(
            "real candles are absent: set ALPHAPULSE_MARKET_DATA to a directory with BTC-USD_1d.csv.gz"
        )
    return directory
