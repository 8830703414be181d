"""How the Stripe SDK reaches the network: httpx, as everything here that calls out.

The SDK's own httpx client cannot be told to leave out a proxy, and hands bodies to httpx in a way
that httpx has deprecated.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import stripe


class StripeTransport(stripe.HTTPClient):
    """Requests over one pool of connections.

    Parameters
    ----------
    api_base
        Where requests go; no proxy is asked when that is this machine.
    timeout_seconds
        For each step of a request.
    """

    name = "httpx"

    def __init__(self, api_base: str | None, *, timeout_seconds: float) -> None:
        super().__init__()
        local = api_base is not None and _on_this_machine(api_base)
        self._connections = httpx.AsyncClient(timeout=timeout_seconds, trust_env=not local)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Return body, status and headers; the SDK repeats what did not get through."""
        try:
            answer = await self._connections.request(method, url, headers=headers, content=post_data or None)
        except httpx.HTTPError as error:
            failure = stripe.APIConnectionError(  # type: ignore[no-untyped-call] # the SDK leaves it bare
                type(error).__name__, should_retry=True
            )
            raise failure from error
        return answer.content, answer.status_code, answer.headers

    def sleep_async(self, secs: float) -> Awaitable[None]:
        """Wait between two attempts."""
        return asyncio.sleep(secs)

    async def close_async(self) -> None:
        """Close the connections."""
        await self._connections.aclose()


def _on_this_machine(api_base: str) -> bool:
    host = urlsplit(api_base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
