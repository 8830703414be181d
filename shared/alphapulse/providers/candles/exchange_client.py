"""HTTP to the public endpoints of an exchange, whose refusals say in their body what they mean."""

from typing import Any, Final

import orjson

from alphapulse.providers.budget import SourceBudget
from alphapulse.providers.candles.public_market import PublicMarket, PublicRequest, Refusal
from alphapulse.providers.candles.source import Clock
from alphapulse.providers.errors import ProviderError, SourceBusy, SourceDown, SourceRefuses
from alphapulse.providers.transport import DEADLINE_SECONDS, SourceClient, reading

#: How long all stay away from an exchange that says within an answer that it is asked too often.
_PAUSE_SECONDS: Final = 5.0


class RequestRefused(SourceRefuses):
    """The exchange does not know a symbol of the request, or makes nothing of the request.

    Attributes
    ----------
    unknown_symbol : bool
        It is a symbol.
    """

    def __init__(self, reason: str, *, status: int, unknown_symbol: bool) -> None:
        super().__init__(reason, status=status)
        self.unknown_symbol = unknown_symbol


class _Explained(ProviderError):
    """A refusal with its body."""

    def __init__(self, name: str, *, status: int, body: Any) -> None:
        super().__init__(f"{name} refuses with {status}")
        self.status = status
        self.body = body


class ExchangeClient:
    """Asks one exchange, within the platform's budget for it.

    Parameters
    ----------
    market
        The exchange.
    base_url
        Its own address, or a test system's.
    budget
        Counted for the whole platform.
    clock
        Aware UTC now.
    deadline_seconds
        Of one request.
    """

    def __init__(
        self,
        market: PublicMarket,
        base_url: str,
        *,
        budget: SourceBudget,
        clock: Clock,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._market = market
        self._budget = budget
        self._http = _Http(
            market.facts.name, base_url, budget=budget, clock=clock, deadline_seconds=deadline_seconds
        )

    async def ask(self, request: PublicRequest) -> Any:
        """Return the body of an answer with data.

        Raises
        ------
        RequestRefused
            The exchange understands the request and refuses it.
        SourceDown, SourceBusy, SourceRefuses, AnswerMalformed
            It does not answer, is asked too often, wants none of our requests, or answers no JSON.
        """
        try:
            status, body = 200, await self._http.get(request.target)
        except _Explained as refusal:
            status, body = refusal.status, refusal.body
        await self._require_data(status, body)
        return body

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _require_data(self, status: int, body: Any) -> None:
        name = self._market.facts.name
        with reading(name, "whether it refuses"):
            refusal = self._market.refusal(status, body)
        if refusal is None:
            return
        if refusal is Refusal.BUSY:
            await self._budget.pause(_PAUSE_SECONDS)
            raise SourceBusy(f"{name} is asked too often", retry_after_seconds=_PAUSE_SECONDS)
        if refusal is Refusal.DOWN:
            raise SourceDown(f"{name} is not available")
        unknown = refusal is Refusal.UNKNOWN_SYMBOL
        reason = "does not know a symbol" if unknown else f"refuses a request with {status}"
        raise RequestRefused(f"{name} {reason}", status=status, unknown_symbol=unknown)


class _Http(SourceClient):
    def _refused(self, status: int, content: bytes) -> ProviderError:
        try:
            return _Explained(self.name, status=status, body=orjson.loads(content))
        except orjson.JSONDecodeError:
            return super()._refused(status, content)
