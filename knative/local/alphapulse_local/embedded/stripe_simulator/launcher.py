"""Start the simulation as a process."""

import os
import sys
from pathlib import Path

from alphapulse_local.embedded.local_server import LocalServer, OnSpawn

KEY_VARIABLE = "STRIPE_SIMULATOR_KEY"
PRICES = {
    "starter": "price_simulatedstarter",
    "pro": "price_simulatedpro",
    "enterprise": "price_simulatedenterprise",
}


class EmbeddedStripe(LocalServer):
    """One simulation on 127.0.0.1.

    Parameters
    ----------
    api_key
        What clients must present; there is no simulation without one.
    directory, port, on_spawn
        As in `LocalServer`.
    """

    name = "stripe-simulator"

    def __init__(
        self, directory: Path, *, api_key: str, port: int = 0, on_spawn: OnSpawn | None = None
    ) -> None:
        super().__init__(directory, port=port, on_spawn=on_spawn)
        self.api_key = api_key

    @property
    def url(self) -> str:
        """What goes where `https://api.stripe.com` would."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, timeout_seconds: float = 20) -> None:
        """Start the process and return when it answers."""
        self._prepare()
        command = [sys.executable, "-m", __package__ or ""]
        self._launch(
            [*command, "--port", str(self.port), "--directory", str(self.directory)],
            # The key is in the environment and never on a command line, where every user could read it.
            environment={**os.environ, KEY_VARIABLE: self.api_key},
        )
        self._until(lambda: self._answers_ok("/"), timeout_seconds)
