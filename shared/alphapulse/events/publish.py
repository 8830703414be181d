"""Send events to the broker's ingress."""

from typing import TYPE_CHECKING

from alphapulse.events.event import Event

if TYPE_CHECKING:
    import httpx

_ACCEPTED = 202
_TIMEOUT_SECONDS = 5.0


class BrokerUnavailable(Exception):
    """The broker did not accept the event; it stays in the outbox."""


class Publisher:
    """Posts events in binary HTTP mode to one broker address, over kept-alive connections."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: httpx.AsyncClient | None = None

    async def publish(self, event: Event) -> None:
        """Hand one event to the broker; returns when the broker has stored it.

        Raises
        ------
        BrokerUnavailable
            No connection, a timeout, or an answer other than 202.
        """
        import httpx  # noqa: PLC0415 - event functions that only reply never pay for it

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)
        headers, body = event.to_http()
        try:
            answer = await self._client.post(self._url, headers=headers, content=body)
        except httpx.HTTPError as error:
            raise BrokerUnavailable(f"broker did not answer: {type(error).__name__}") from error
        if answer.status_code != _ACCEPTED:
            raise BrokerUnavailable(f"broker answered {answer.status_code}")

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
