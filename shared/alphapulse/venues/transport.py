"""HTTP to an exchange: one client per exchange and process, its clock, and what failing means."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from alphapulse.outbound import http_date, open_client, retry_after
from alphapulse.venues.protocol import VenueRateLimited, VenueUnavailable

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 8.0
_CONNECT_TIMEOUT_SECONDS = 4.0
_DEFAULT_RETRY_AFTER_SECONDS = 30
_MOST_RETRY_AFTER_SECONDS = 3600
# How far a `Date` header, which has whole seconds and has travelled, tells our clock from theirs.
_CLOCK_TOLERANCE = dt.timedelta(seconds=5)

Clock = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an exchange answered.

    Attributes
    ----------
    status : int
        HTTP status.
    body : Any
        JSON; None when the body is no JSON.
    date : datetime, optional
        The exchange's own time, to the second.
    retry_after_seconds : int
        What it asked for, or a default.
    """

    status: int
    body: Any = field(repr=False)
    date: dt.datetime | None
    retry_after_seconds: int

    @property
    def fields(self) -> Mapping[str, Any]:
        """The body if it is a JSON object, else nothing."""
        return self.body if isinstance(self.body, dict) else {}


class ExchangeClient:
    """Sends requests to one exchange.

    Parameters
    ----------
    name
        The exchange, for messages.
    base_url
        Scheme, host and, for a test system, port.
    clock
        Aware UTC now.
    """

    def __init__(self, name: str, base_url: str, *, clock: Clock) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._clock = clock
        self._offset = dt.timedelta()
        self._client: httpx.AsyncClient | None = None

    @property
    def host(self) -> str:
        """Host, with the port if it is not the scheme's own."""
        return self.base_url.partition("://")[2].partition("/")[0]

    @property
    def now(self) -> dt.datetime:
        """The time as the exchange has it, as far as it has told."""
        return self._clock() + self._offset

    def correct_clock(self, theirs: dt.datetime) -> bool:
        """Take over the exchange's time; return whether that changed anything much."""
        offset = theirs - self._clock()
        moved = abs(offset - self._offset) > _CLOCK_TOLERANCE
        self._offset = offset
        return moved

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: str | None = None,
    ) -> Answer:
        """Send a request that changes nothing at the exchange, and return its answer, a refusal included.

        Raises
        ------
        VenueRateLimited
            429, or 418 (an address that went on after 429s).
        VenueUnavailable
            No connection, no answer in time, a 5xx, or an answer that should be JSON and is none.
        """
        import httpx  # noqa: PLC0415 - 70 ms that only a function which asks an exchange pays

        try:
            response = await self._open().request(
                method, self.base_url + path, headers=dict(headers or {}), content=content
            )
        except httpx.HTTPError as error:
            # Not its text: it may hold the address, and a signed address is as good as the signature.
            raise VenueUnavailable(f"{self.name} does not answer ({type(error).__name__})") from None
        answer = _answer(response, now=self.now)
        if answer.status in (418, 429):
            raise VenueRateLimited(
                f"{self.name} takes no more requests for now",
                retry_after_seconds=answer.retry_after_seconds,
            )
        refused = 400 <= answer.status < 500  # noqa: PLR2004 - client errors
        if not refused and (answer.status >= 300 or answer.body is None):  # noqa: PLR2004 - not OK
            raise self.unexpected(answer)
        return answer

    def unexpected(self, answer: Answer) -> VenueUnavailable:
        """Return the error for an answer that nothing can be made of."""
        return VenueUnavailable(f"{self.name} answered {answer.status} and nothing that can be used")

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open(self) -> "httpx.AsyncClient":
        if self._client is None:
            self._client = open_client(
                self.base_url,
                timeout_seconds=TIMEOUT_SECONDS,
                connect_timeout_seconds=_CONNECT_TIMEOUT_SECONDS,
            )
        return self._client


def _answer(response: "httpx.Response", *, now: dt.datetime) -> Answer:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    asked = retry_after(response.headers.get("retry-after", ""), now=now)
    seconds = _DEFAULT_RETRY_AFTER_SECONDS if asked is None else asked
    return Answer(
        response.status_code,
        body,
        http_date(response.headers.get("date", "")),
        max(1, min(seconds, _MOST_RETRY_AFTER_SECONDS)),
    )
