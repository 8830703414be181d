"""Send events to the broker's ingress."""

import asyncio
import importlib
from typing import TYPE_CHECKING

from alphapulse.events.event import Event

if TYPE_CHECKING:
    import aiohttp

_ACCEPTED = 202
# These are about the event itself. A 404 is about the broker, which may be there again in a moment.
_REFUSED_FOR_GOOD = frozenset({400, 413, 422})
_TIMEOUT_SECONDS = 5.0
_CONNECTIONS = 16


class BrokerUnavailable(Exception):
    """The broker did not accept the event; it stays in the outbox."""


class EventRefused(BrokerUnavailable):
    """The broker will not accept this event however often it is sent."""


class Publisher:
    """Posts events in binary HTTP mode to one broker address, over kept-alive connections.

    aiohttp, because a third of an order's processor time went into sending its two events with
    httpx. It is loaded with the first event, off the event loop.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()
        # Waited for outside of an event's time limit: a burst of events is slow, not lost.
        self._free = asyncio.Semaphore(_CONNECTIONS)

    async def publish(self, event: Event) -> None:
        """Hand one event to the broker; returns when the broker has stored it.

        Raises
        ------
        BrokerUnavailable
            No connection, a timeout, or an answer other than 202.
        EventRefused
            The answer was 400, 413 or 422.
        """
        session = self._session or await self._open()
        import aiohttp  # noqa: PLC0415 - loaded by `_open`

        headers, body = event.to_http()
        try:
            async with self._free, session.post(self._url, headers=headers, data=body) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BrokerUnavailable(f"broker did not answer: {type(error).__name__}") from error
        if status == _ACCEPTED:
            return
        kind = EventRefused if status in _REFUSED_FOR_GOOD else BrokerUnavailable
        raise kind(f"broker answered {status}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _open(self) -> "aiohttp.ClientSession":
        async with self._opening:
            if self._session is None:
                await asyncio.to_thread(importlib.import_module, "aiohttp")
                import aiohttp  # noqa: PLC0415 - loaded by the line above

                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                    timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
                    cookie_jar=aiohttp.DummyCookieJar(),
                )
            return self._session
