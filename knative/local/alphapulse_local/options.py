"""What `up` can be told."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_PORT = 8080
REPOSITORY = Path(__file__).resolve().parents[3]

LIVE, SIMULATED = "live", "simulated"
#: In order of preference.
EXCHANGES = ("binance", "coinbase", "kraken")
MARKET_SOURCES = (*EXCHANGES, SIMULATED)
PROVIDER_SOURCES = (LIVE, SIMULATED)


@dataclass(frozen=True)
class Options:
    """Settings of one platform.

    Attributes
    ----------
    root
        The repository: manifests are read and functions imported from here.
    state_directory
        Data, logs and secrets.
    port
        Of the gateway on 127.0.0.1; 0 picks a free one.
    warm
        Keep every function up.
    idle_seconds
        Overrides the scale-down window of every manifest.
    market_data_dir, provider_data_dir
        Directories of recorded data to use instead of public endpoints.
    market_data_source, provider_source
        Where candles and research data come from; what can be reached when None.
    log_level
        Of functions and broker.
    function_command
        Starts a function; told which one by its environment.
    """

    root: Path = REPOSITORY
    state_directory: Path = REPOSITORY / ".local"
    port: int = DEFAULT_PORT
    warm: bool = False
    idle_seconds: float | None = None
    market_data_dir: Path | None = None
    provider_data_dir: Path | None = None
    market_data_source: str | None = None
    provider_source: str | None = None
    log_level: str = "INFO"
    function_command: tuple[str, ...] = field(
        default_factory=lambda: (sys.executable, "-m", "alphapulse.serve")
    )
