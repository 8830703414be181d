"""Which of the chosen symbols an exchange trades now, and by which rules."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, MutableSequence, Sequence
from typing import Final, TypeVar

import structlog

from alphapulse.domain.instruments import Instrument
from alphapulse.providers.candles.exchange_client import ExchangeClient, RequestRefused
from alphapulse.providers.candles.exchange_documents import InstrumentsCodec
from alphapulse.providers.candles.public_market import PublicMarket
from alphapulse.providers.shared_reads import ReadKey, SharedReads

#: The bases of the default symbols, best known first: the first ten that an exchange has are taken.
MAJORS: Final = ("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "AVAX", "LINK", "LTC", "DOT", "BCH")
DEFAULT_SYMBOLS: Final = 10
#: So soon it is noticed that an exchange has delisted a symbol.
INSTRUMENTS_SECONDS: Final = 300.0

# So soon it is noticed that an exchange has listed one that it did not know: finding it out takes requests.
_ABSENT_SECONDS: Final = 3600.0

Value = TypeVar("Value")

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class ExchangeInstruments:
    """The instruments of an exchange, asked for once for all processes.

    Parameters
    ----------
    market : PublicMarket
        The exchange.
    client : ExchangeClient
        Asks it.
    reads : SharedReads
        Keeps the answer.
    symbols : sequence of str
        ``BASE-QUOTE``; the majors that the exchange has when empty.
    """

    def __init__(
        self, market: PublicMarket, client: ExchangeClient, *, reads: SharedReads, symbols: Sequence[str]
    ) -> None:
        self._market = market
        self._client = client
        self._reads = reads
        self._symbols = tuple(dict.fromkeys(symbols))
        self._absent: dict[str, float] = {}

    async def known(self) -> Mapping[str, Instrument]:
        """Return the rules of those that trade now, by symbol.

        Raises
        ------
        alphapulse.providers.errors.ProviderError
        """
        return await self._reads.read(
            ReadKey(self._market.facts.name, "instruments", self._asset),
            self._list,
            codec=InstrumentsCodec(),
            fresh_seconds=INSTRUMENTS_SECONDS,
        )

    @property
    def _asset(self) -> str:
        if not self._symbols:
            return "majors"
        return hashlib.sha256(",".join(self._symbols).encode()).hexdigest()[:16]

    async def _list(self) -> Mapping[str, Instrument]:
        now = asyncio.get_running_loop().time()
        facts = self._market.facts
        wanted = self._symbols or tuple(f"{base}-{facts.quotes[0]}" for base in MAJORS)
        asked = [symbol for symbol in wanted if self._absent.get(symbol, now) <= now]
        unknown: list[str] = []
        found = await by_halves(asked, self._rules, unknown=unknown)
        names = [symbol for symbol in wanted if symbol in found]
        # Not those that are known and do not trade at the moment: they may again in a minute.
        self._absent |= dict.fromkeys(unknown, now + _ABSENT_SECONDS)
        missing = [symbol for symbol in asked if symbol not in found]
        if missing:
            logger.warning("symbols_not_traded", source=facts.name, symbols=missing)
        return {symbol: found[symbol] for symbol in names[: None if self._symbols else DEFAULT_SYMBOLS]}

    async def _rules(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        found = self._market.instruments(await self._client.ask(self._market.instruments_request(symbols)))
        return {symbol: found[symbol] for symbol in symbols if symbol in found}


async def by_halves(
    symbols: Sequence[str],
    ask: Callable[[Sequence[str]], Awaitable[Mapping[str, Value]]],
    *,
    unknown: MutableSequence[str],
) -> dict[str, Value]:
    """Ask about symbols together, and in halves where one that is unknown makes the whole be refused.

    Parameters
    ----------
    symbols
        None of them is needed.
    ask
        Asks about some of them.
    unknown
        Those that the exchange refuses by themselves are added.

    Returns
    -------
    dict
        What is known, by symbol.
    """
    if not symbols:
        return {}
    try:
        return dict(await ask(symbols))
    except RequestRefused as refusal:
        if not refusal.unknown_symbol:
            raise
    if len(symbols) == 1:
        unknown.append(symbols[0])
        return {}
    half = len(symbols) // 2
    first = await by_halves(symbols[:half], ask, unknown=unknown)
    return first | await by_halves(symbols[half:], ask, unknown=unknown)
