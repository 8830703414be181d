"""Where candles and research data come from: as asked for, else what can be reached, else simulated."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from alphapulse.providers.candles import exchange_endpoints
from alphapulse.providers.on_chain.coin_metrics import ADDRESS as COIN_METRICS
from alphapulse.providers.supply.coingecko import ADDRESS as COINGECKO
from alphapulse_local.options import EXCHANGES, LIVE, SIMULATED, Options

DIRECTORY = "directory"
#: The longest that is waited for anybody's answer; the servers start meanwhile.
PROBE_SECONDS = 1.5
# How much longer a better one is waited for once another one has answered.
_GRACE_SECONDS = 0.3
_OK = 200

_TITLES = {"binance": "Binance", "coinbase": "Coinbase", "kraken": "Kraken"}


@dataclass(frozen=True)
class Choice:
    """A source, and why it is the one."""

    source: str
    reason: str


@dataclass(frozen=True)
class Probe:
    """An address that answers JSON to anybody when its service can be reached."""

    name: str
    url: str


@dataclass(frozen=True)
class DataSources:
    """What the functions are told.

    Attributes
    ----------
    candles, research
        Prices; on-chain, supply, social and governance data.
    directories
        `MARKET_DATA_DIR` and `PROVIDER_DATA_DIR`, empty when not given.
    """

    candles: Choice
    research: Choice
    directories: Mapping[str, str]

    def settings(self) -> dict[str, str]:
        """Return what belongs into the functions' ConfigMap."""
        # A directory wins whatever is named beside it.
        candles = SIMULATED if self.candles.source == DIRECTORY else self.candles.source
        research = SIMULATED if self.research.source == DIRECTORY else self.research.source
        return {**self.directories, "MARKET_DATA_SOURCE": candles, "PROVIDER_SOURCE": research}

    def document(self) -> dict[str, dict[str, str]]:
        """Return what `status` shows."""
        return {
            name: {"source": choice.source, "reason": choice.reason}
            for name, choice in (("candles", self.candles), ("research data", self.research))
        }

    def notes(self) -> str:
        """Say where data come from and why, a line each."""
        return "".join(
            f"  {name}: {fact['source']} ({fact['reason']})\n" for name, fact in self.document().items()
        )


async def choose(
    options: Options, environment: Mapping[str, str], *, memory: Path | None = None
) -> DataSources:
    """Choose both, asking services only where nothing was asked for.

    Parameters
    ----------
    options
        Directories of recorded data, and the sources that whoever starts the platform wants.
    environment
        Addresses of test systems in place of the services'.
    memory
        File with the exchange that was chosen last: it is preferred, because bars of another one replace
        those that are stored.
    """
    preferred = _recall(memory)
    async with _session() as session:
        candles, research = await asyncio.gather(
            _candles(session, options, environment, preferred), _research(session, options, environment)
        )
    _remember(memory, candles)
    directories = {
        "MARKET_DATA_DIR": str(options.market_data_dir or ""),
        "PROVIDER_DATA_DIR": str(options.provider_data_dir or ""),
    }
    return DataSources(candles, research, directories)


async def first_reachable(session: aiohttp.ClientSession, probes: Sequence[Probe]) -> str | None:
    """Return the first name in order whose service answers in time; all are asked at once."""
    asked = {probe.name: asyncio.ensure_future(_answers(session, probe.url)) for probe in probes}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PROBE_SECONDS
    try:
        while True:
            for task in asked.values():
                if not task.done():
                    break
                if task.result():
                    return _best(asked)
            if any(task.done() and task.result() for task in asked.values()):
                deadline = min(deadline, loop.time() + _GRACE_SECONDS)
            waiting = [task for task in asked.values() if not task.done()]
            remaining = deadline - loop.time()
            if not waiting or remaining <= 0:
                return _best(asked)
            await asyncio.wait(waiting, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in asked.values():
            task.cancel()
        await asyncio.gather(*asked.values(), return_exceptions=True)


async def _candles(
    session: aiohttp.ClientSession,
    options: Options,
    environment: Mapping[str, str],
    preferred: str | None,
) -> Choice:
    if options.market_data_dir is not None:
        return Choice(DIRECTORY, f"MARKET_DATA_DIR is {options.market_data_dir}")
    if options.market_data_source is not None:
        return Choice(options.market_data_source, "MARKET_DATA_SOURCE is set")
    probes = []
    for name in sorted(EXCHANGES, key=lambda name: name != preferred):
        facts = exchange_endpoints(name).facts
        address = environment.get(f"{name.upper()}_URL") or facts.base_url
        probes.append(Probe(name, address.rstrip("/") + facts.ping))
    found = await first_reachable(session, probes)
    if found is None:
        return Choice(SIMULATED, f"no exchange answered within {PROBE_SECONDS:g} s")
    return Choice(found, f"{_TITLES[found]}'s public endpoint answers")


async def _research(
    session: aiohttp.ClientSession, options: Options, environment: Mapping[str, str]
) -> Choice:
    if options.provider_data_dir is not None:
        return Choice(DIRECTORY, f"PROVIDER_DATA_DIR is {options.provider_data_dir}")
    if options.provider_source is not None:
        return Choice(options.provider_source, "PROVIDER_SOURCE is set")
    coin_metrics = environment.get("COIN_METRICS_URL") or COIN_METRICS
    coingecko = environment.get("COINGECKO_URL") or COINGECKO
    price = "/v4/timeseries/asset-metrics?assets=btc&metrics=PriceUSD&page_size=1"
    probes = [
        Probe("Coin Metrics", coin_metrics.rstrip("/") + price),
        Probe("CoinGecko", coingecko.rstrip("/") + "/api/v3/ping"),
    ]
    found = await first_reachable(session, probes)
    if found is None:
        return Choice(SIMULATED, f"no data source answered within {PROBE_SECONDS:g} s")
    return Choice(LIVE, f"{found} answers")


def _remember(memory: Path | None, chosen: Choice) -> None:
    if memory is not None and chosen.source in EXCHANGES:
        memory.write_text(chosen.source)


def _recall(memory: Path | None) -> str | None:
    if memory is None:
        return None
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return memory.read_text()
    return None


def _best(asked: Mapping[str, "asyncio.Future[bool]"]) -> str | None:
    return next((name for name, task in asked.items() if task.done() and task.result()), None)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    """Tell whether an address answers JSON; a page in front of the network answers, but no JSON."""
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
        async with session.get(url, allow_redirects=False) as answer:
            return answer.status == _OK and isinstance(await answer.json(content_type=None), dict | list)
    return False


@contextlib.asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    # The way out may be a proxy, as it is for the functions.
    timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        yield session
