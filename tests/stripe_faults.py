"""Have the simulated Stripe fail: `await ask_for_fault(simulator, "POST", "/v1/customers", status=500)`."""

from typing import Any

import httpx

from alphapulse_local.embedded.stripe_simulator import EmbeddedStripe


async def ask_for_fault(simulator: EmbeddedStripe, method: str, path: str, **fault: Any) -> None:
    """Make the next requests fail; see alphapulse_local.embedded.stripe_simulator.faults."""
    form = {"method": method, "path": path, **{name: str(value).lower() for name, value in fault.items()}}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{simulator.url}/_simulation/faults", data=form, auth=(simulator.api_key, "")
        )
    answer.raise_for_status()


async def forget_faults(simulator: EmbeddedStripe) -> None:
    """Take away those that have not happened."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.delete(f"{simulator.url}/_simulation/faults", auth=(simulator.api_key, ""))
    answer.raise_for_status()
