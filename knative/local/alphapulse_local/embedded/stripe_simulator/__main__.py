"""`python -m alphapulse_local.embedded.stripe_simulator --port 1234 --directory path`."""

import argparse
import os
from pathlib import Path

from aiohttp import web

from alphapulse_local.embedded.stripe_simulator.catalogue import ensure_prices
from alphapulse_local.embedded.stripe_simulator.launcher import KEY_VARIABLE
from alphapulse_local.embedded.stripe_simulator.server import simulation
from alphapulse_local.embedded.stripe_simulator.store import Store


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(description="A simulation of Stripe. It is not Stripe.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        parser.error(f"{KEY_VARIABLE} must hold the key that clients present")
    store = Store(options.directory / "simulated.db")
    ensure_prices(store)
    print("This is a simulation and not Stripe: no money moves.", flush=True)
    web.run_app(
        simulation(store, key=key),
        host="127.0.0.1",
        port=options.port,
        print=None,
        access_log=None,
        shutdown_timeout=2,
    )
    store.close()


if __name__ == "__main__":
    main()
