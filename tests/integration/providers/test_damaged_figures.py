"""On-chain and supply figures from damaged answers: good data or a ProviderError, nothing else."""

import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from alphapulse.providers.errors import ProviderError
from alphapulse.providers.on_chain.blockchain_com import BlockchainCom
from alphapulse.providers.on_chain.coin_metrics import CoinMetrics
from alphapulse.providers.source import SourceContext
from alphapulse.providers.supply.coingecko import CoinGecko
from alphapulse.providers.supply.ethplorer import Ethplorer
from tests.integration.providers import answers
from tests.source_server import Reply, SourceServer

CASES = 40
JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    10**400,
    "",
    "x",
    "NaN",
    "-Infinity",
    [],
    {},
    [[]],
    {"x": {}},
    "\0",
]


def damaged(document: Any, chance: random.Random) -> Any:
    """Put junk in the place of something, remove it, or repeat it; anywhere in the document."""
    document = copy.deepcopy(document)
    for _ in range(chance.randint(1, 4)):
        at: Any = document
        while isinstance(at, (dict, list)) and at:
            key: Any = chance.choice(list(at)) if isinstance(at, dict) else chance.randrange(len(at))
            if isinstance(at[key], (dict, list)) and at[key] and chance.random() < 0.85:
                at = at[key]
                continue
            match chance.randrange(3):
                case 0:
                    at[key] = chance.choice(JUNK)
                case 1:
                    del at[key]
                case 2 if isinstance(at, list):
                    at.append(at[key])
                case _:
                    at[key] = str(at[key])
            break
    return document


def damaged_bytes(document: Any, chance: random.Random) -> bytes:
    """Damage the text rather than the document now and then."""
    # Not orjson, which writes no integer of 400 digits.
    whole = json.dumps(damaged(document, chance)).encode()
    if chance.random() < 0.2:
        cut = chance.randrange(len(whole) + 1)
        return whole[:cut] + chance.choice([b"", b"\xff", b"NaN", b"}"])
    return whole


def sane(values: list[float]) -> bool:
    return all(math.isnan(value) or (math.isfinite(value) and value >= 0) for value in values)


async def on_chain_values(source: CoinMetrics | BlockchainCom) -> list[float]:
    found = await source.fetch("BTC")
    assert found
    for series in found.values():
        assert list(series.days) == sorted(set(series.days))
    return [value for series in found.values() for value in series.values.tolist()]


async def coins(source: CoinGecko) -> list[float]:
    found = await source.fetch_all()
    assert found
    return [figure.value for figures in found.values() for figure in figures.values()]  # type: ignore[misc]


async def shares(source: Ethplorer) -> list[float]:
    values: list[float] = [figure.value for figure in (await source.fetch("UNI")).values()]  # type: ignore[misc]
    assert all(value <= 1 for value in values)
    return values


CHART = answers.chart([(answers.midnight(answers.FIRST_DAY) + n * 86_400, n / 7) for n in range(5)])
SOURCES: dict[str, tuple[Any, Callable[..., Any], Any]] = {
    "coin_metrics": (CoinMetrics, on_chain_values, {"data": answers.coin_metrics_rows(days=4)}),
    "blockchain_com": (BlockchainCom, on_chain_values, CHART),
    "coingecko": (CoinGecko, coins, [answers.coin("bitcoin"), answers.coin("ethereum")]),
    "ethplorer": (Ethplorer, shares, answers.holders([2.5] * 12)),
}


@pytest.mark.parametrize("name", SOURCES)
async def test_damaged_answers_give_sane_figures_or_a_provider_error(
    name: str, context: SourceContext, server: SourceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, read, document = SOURCES[name]
    source = kind(context)
    # The budget is not what is tested, and would take minutes.
    monkeypatch.setattr(source._client._budget, "take", _at_once)
    chance = random.Random(name)
    outcomes = {"figures": 0, "errors": 0}
    said: set[str] = set()

    for _ in range(CASES):
        # All questions of one reading get the same answer.
        body = damaged_bytes(document, chance)
        server.answer = lambda _, body=body: Reply(body)  # type: ignore[misc]  # bound now
        try:
            assert sane(await read(source))
            outcomes["figures"] += 1
        except ProviderError as error:
            said.add(str(error))
            outcomes["errors"] += 1

    assert min(outcomes.values()) > 0, outcomes
    assert all(one.startswith(name) and len(one) < 200 for one in said)


async def _at_once() -> None:
    return None
