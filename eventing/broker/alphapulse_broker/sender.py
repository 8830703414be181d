"""Sends one event to one sink over HTTP and says what the sink answered."""

from dataclasses import dataclass
from typing import Self

import aiohttp
from yarl import URL

from alphapulse_broker.cloudevents import Event, is_event, parse_event, to_headers
from alphapulse_broker.errors import InvalidEvent

# Base64 of so many bytes is 1,024 characters, the most that knativeerrordata may have.
DETAIL_BYTES = 768

_CONNECT_SECONDS = 10
# Below the five seconds after which uvicorn closes an idle connection, so that a request seldom
# meets one that is just being closed.
_KEEPALIVE_SECONDS = 4
_DRAIN_BYTES = 65_536
_ACCEPTED = 202
_FIRST_FAILURE = 300
_FIRST_SUCCESS = 200
_BROKEN = (aiohttp.ClientError, OSError, ValueError)
_SKIPPED_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt.

    Parameters
    ----------
    status
        HTTP status, or None when there was no answer (refused, broken, timed out).
    detail
        The start of an error answer's body, or why there was no answer.
    reply
        The CloudEvent in a success, if there was one.
    malformed
        Why a success that claims to be a CloudEvent is none; empty otherwise.
    """

    status: int | None
    detail: bytes = b""
    retry_after: str | None = None
    reply: Event | None = None
    malformed: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the sink has taken the event and its reply, if any, can be used."""
        return (
            self.status is not None and _FIRST_SUCCESS <= self.status < _FIRST_FAILURE and not self.malformed
        )


class Sender:
    """Keeps connections to sinks; bounds on concurrency are the caller's."""

    def __init__(self, *, namespace: str, max_reply_bytes: int) -> None:
        self._max_reply_bytes = max_reply_bytes
        self._standing = {"prefer": "reply", "kn-namespace": namespace}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, limit_per_host=0, ttl_dns_cache=10, keepalive_timeout=_KEEPALIVE_SECONDS
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_SKIPPED_HEADERS,
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self, url: str, event: Event, *, extensions: dict[str, str], timeout_seconds: float
    ) -> Answer:
        """Make one attempt; every failure is an Answer."""
        if self._session is None:
            raise RuntimeError("the sender is not open; use it with `async with`")
        headers = to_headers({**event.attributes, **extensions}, event.trace)
        headers.update(self._standing)
        limits = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=_CONNECT_SECONDS)
        try:
            async with self._session.post(
                URL(url), data=event.body, headers=headers, timeout=limits, allow_redirects=False
            ) as response:
                return await self._answer(response)
        except TimeoutError:
            # First, since it is an OSError, too.
            return Answer(None, f"no answer within {timeout_seconds:g} s".encode())
        except _BROKEN as error:
            return Answer(None, f"dispatch error: {type(error).__name__}".encode())

    async def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        status = response.status
        if not _FIRST_SUCCESS <= status < _FIRST_FAILURE:
            detail = await _detail(response)
            return Answer(status, detail, retry_after=response.headers.get("Retry-After"))
        headers = [(name.lower(), value) for name, value in response.raw_headers]
        if status == _ACCEPTED or not is_event(headers):
            await _read(response, _DRAIN_BYTES)
            return Answer(status)
        body = await _read(response, self._max_reply_bytes + 1)
        if len(body) > self._max_reply_bytes:
            return Answer(status, malformed=f"the reply is longer than {self._max_reply_bytes} bytes")
        try:
            return Answer(status, reply=parse_event(headers, body))
        except InvalidEvent as error:
            return Answer(status, malformed=f"malformed reply: {error}")


async def _detail(response: aiohttp.ClientResponse) -> bytes:
    """Return the start of an error's body; a status counts also when its body breaks off."""
    try:
        return await _read(response, DETAIL_BYTES)
    except _BROKEN as error:
        return f"the body broke off: {type(error).__name__}".encode()


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return at most `limit` bytes of the body; a longer one costs the connection, not memory."""
    body = b""
    while len(body) < limit:
        part = await response.content.read(limit - len(body))
        if not part:
            break
        body += part
    return body
