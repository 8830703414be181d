"""HTTP to a data source: one client per source and process, within its budget, and what failing means."""

import asyncio
import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson

from alphapulse.outbound import open_client, retry_after
from alphapulse.providers.budget import SourceBudget
from alphapulse.providers.candles.source import Clock
from alphapulse.providers.errors import (
    AnswerMalformed,
    ProviderError,
    SourceBusy,
    SourceDown,
    SourceRefuses,
)

if TYPE_CHECKING:
    import httpx

#: For one request with all of its answer, however slowly it trickles.
DEADLINE_SECONDS: Final = 12.0
#: Of an answer, decompressed.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024

_TIMEOUT_SECONDS: Final = 8.0
_CONNECT_TIMEOUT_SECONDS: Final = 4.0
_MOST_REDIRECTS: Final = 3
_DEFAULT_PAUSE_SECONDS: Final = 30
_MOST_PAUSE_SECONDS: Final = 3600
# 418 is what Binance answers to an address that went on after 429s.
_TOO_MANY_REQUESTS: Final = (418, 429)
_UNAVAILABLE: Final = 503
_SECONDS: Final = re.compile(r"\d{1,10}(?:\.\d{1,3})?", re.ASCII)


class SourceClient:
    """Asks one source.

    Parameters
    ----------
    name
        The source, for messages.
    base_url
        Scheme, host and, for a test system, port.
    budget
        Of the source; each request takes from it.
    clock
        Aware UTC now.
    headers
        Sent with every request, a key among them where the source wants one.
    deadline_seconds, max_body_bytes
        Of one request.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        budget: SourceBudget,
        clock: Clock,
        headers: Mapping[str, str] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.name = name
        self._base_url = base_url.rstrip("/")
        self._budget = budget
        self._clock = clock
        self._headers = dict(headers or {})
        self._deadline_seconds = deadline_seconds
        self._max_body_bytes = max_body_bytes
        self._client: httpx.AsyncClient | None = None

    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the JSON that a GET of `path` answers.

        Parameters
        ----------
        path
            Below the base URL.
        params
            Of the query.
        headers
            Sent with this request beside those of the client.

        Raises
        ------
        SourceBusy
            The budget is spent, or the source answers 429; then nobody asks it until its pause is over.
        SourceDown
            No connection, no whole answer in time, or a 5xx.
        SourceRefuses
            Another 4xx.
        AnswerMalformed
            No JSON, too long, or a redirect to another host.
        """
        return await self._request("GET", path, params=params, headers=headers)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON that a POST of a JSON document answers; raises as :meth:`get`."""
        content = orjson.dumps(body)
        return await self._request(
            "POST", path, content=content, headers={"Content-Type": "application/json"}
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _request(self, method: str, path: str, **options: Any) -> Any:
        import httpx  # noqa: PLC0415 - see `open_client`

        await self._budget.take()
        client = self._open()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                request = client.build_request(method, self._base_url + path, **options)
                response, content = await self._send(client, request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            # Not its text: it may hold the address, and an address may hold what was asked for.
            raise SourceDown(f"{self.name} does not answer ({type(error).__name__})") from None
        await self._require_success(response, content)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise AnswerMalformed(f"{self.name} answered something that is no JSON") from None

    async def _send(
        self, client: "httpx.AsyncClient", request: "httpx.Request"
    ) -> "tuple[httpx.Response, bytes]":
        for _ in range(_MOST_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                content = await self._content(response)
            finally:
                await response.aclose()
            following = response.next_request
            if following is None:
                return response, content
            if _origin(following.url) != _origin(request.url):
                raise AnswerMalformed(f"{self.name} redirects to another host")
            request = following
        raise AnswerMalformed(f"{self.name} redirects in circles")

    async def _content(self, response: "httpx.Response") -> bytes:
        # Packed more than once, what one read brings could unpack to more than there is memory.
        if "," in response.headers.get("content-encoding", ""):
            raise AnswerMalformed(f"{self.name} answered something that is packed more than once")
        content = bytearray()
        async for part in response.aiter_bytes():
            content += part
            if len(content) > self._max_body_bytes:
                limit = self._max_body_bytes // 1024
                raise AnswerMalformed(f"{self.name} answered more than {limit} KiB")
        return bytes(content)

    async def _require_success(self, response: "httpx.Response", content: bytes) -> None:
        status = response.status_code
        if response.is_success:
            return
        asked = _asked_pause(response.headers, now=self._clock())
        if status in _TOO_MANY_REQUESTS:
            seconds = max(1, min(_DEFAULT_PAUSE_SECONDS if asked is None else asked, _MOST_PAUSE_SECONDS))
            await self._budget.pause(seconds)
            raise SourceBusy(
                f"{self.name} takes no more requests for {seconds} s", retry_after_seconds=seconds
            )
        if response.is_client_error:
            raise self._refused(status, content)
        if status == _UNAVAILABLE and asked:
            await self._budget.pause(min(asked, _MOST_PAUSE_SECONDS))
        raise SourceDown(f"{self.name} answered {status}")

    def _refused(self, status: int, content: bytes) -> ProviderError:  # noqa: ARG002 - for those that read it
        """Return the error of a refusal; a client of a source that explains its refusals reads them."""
        return SourceRefuses(f"{self.name} refuses with {status}", status=status)

    def _open(self) -> "httpx.AsyncClient":
        if self._client is None:
            self._client = open_client(
                self._base_url,
                timeout_seconds=_TIMEOUT_SECONDS,
                connect_timeout_seconds=_CONNECT_TIMEOUT_SECONDS,
                headers=self._headers,
            )
        return self._client


@contextmanager
def reading(source: str, what: str) -> Iterator[None]:
    """Turn what goes wrong while an answer is read into :class:`AnswerMalformed`.

    Parameters
    ----------
    source
        Whose answer.
    what
        Of what, for the message.
    """
    try:
        yield
    # OSError: what the calendar of the platform cannot turn into a date.
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError) as error:
        # Not its text: it may quote the answer at any length.
        raise AnswerMalformed(
            f"{source} answered {what} in another shape than documented ({type(error).__name__})"
        ) from error


def _asked_pause(headers: Mapping[str, str], *, now: dt.datetime) -> int | None:
    """Return how many seconds an answer asks to wait: by `Retry-After`, or by the end of its limit's window.

    X tells that end in seconds since 1970 (`x-rate-limit-reset`), Reddit in seconds from now
    (`x-ratelimit-reset`); neither sends `Retry-After` with it.
    """
    asked = retry_after(headers.get("retry-after", ""), now=now)
    if asked is not None:
        return asked
    moment, left = headers.get("x-rate-limit-reset", ""), headers.get("x-ratelimit-reset", "")
    if _SECONDS.fullmatch(moment):
        return max(0, math.ceil(float(moment) - now.timestamp()))
    return math.ceil(float(left)) if _SECONDS.fullmatch(left) else None


def _origin(url: "httpx.URL") -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
