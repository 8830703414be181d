"""Posts and governance from damaged answers, or from a service that never answers: only ProviderError."""

import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from alphapulse.domain.agents import activist, sentiment
from alphapulse.domain.agents.activist_parameters import ActivistParameters
from alphapulse.domain.agents.evidence import Evidence, Governance, PostSample
from alphapulse.domain.agents.sentiment_parameters import SentimentParameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Signal
from alphapulse.providers.documents import GovernanceCodec, PostsCodec
from alphapulse.providers.errors import ProviderError, SourceDown
from alphapulse.providers.governance.defillama import DefiLlama
from alphapulse.providers.governance.snapshot import Snapshot
from alphapulse.providers.governance.tally import Tally
from alphapulse.providers.providers import ProviderOptions, SourceKind
from alphapulse.providers.social.reddit import Reddit
from alphapulse.providers.social.x import X
from alphapulse.providers.source import Source, SourceContext
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers.conftest import NOW, Clock
from tests.integration.providers.governance import answers as governance_answers
from tests.integration.providers.social import answers as social_answers
from tests.integration.providers.social.conftest import Unpaced
from tests.source_server import Question, Reply, SourceServer

DAMAGED_ANSWERS = 150
WHOLE: dict[str, Callable[[Question], Any]] = {
    "reddit": lambda _: social_answers.listing(*(social_answers.submission(n) for n in range(6))),
    "x": lambda _: social_answers.found(*(social_answers.tweet(n) for n in range(6))),
    "snapshot": governance_answers.everything,
    "tally": governance_answers.everything,
    "defillama": governance_answers.everything,
}
KINDS: dict[str, Callable[[SourceContext], Source[Any]]] = {
    "reddit": Reddit,
    "x": X,
    "snapshot": Snapshot,
    "tally": Tally,
    "defillama": DefiLlama,
}
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**62,
    1e308,
    -1e308,
    1e-320,
    0.5,
    "",
    "0",
    "9" * 90,
    "NaN",
    "\u202e\U0001f680",
    "2026-06-15",
    [],
    [[]],
    {},
    {"x": None},
)


@pytest.fixture
async def open_context(server: SourceServer, clock: Clock) -> AsyncIterator[SourceContext]:
    keys = {"x": "bearer", "tally": "key"}
    options = ProviderOptions(kind=SourceKind.LIVE, addresses=dict.fromkeys(KINDS, server.url), keys=keys)
    built = Unpaced(options, CacheConnection(None), clock=clock)
    yield built
    await built.close()


def damaged(document: Any, chance: random.Random) -> Any:
    """Return a copy in which one place, drawn by chance, holds something else, is missing or is double."""
    copy = orjson.loads(orjson.dumps(document))
    places: list[tuple[Any, Any]] = []
    walk(copy, places)
    if not places:
        return chance.choice(ODD)
    container, key = chance.choice(places)
    match chance.randrange(4):
        case 0:
            del container[key]
        case 1 if isinstance(container, list):
            container += [container[key]] * chance.choice((1, 50))
        case _:
            container[key] = chance.choice(ODD)
    return copy


def walk(value: Any, places: list[tuple[Any, Any]]) -> None:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        places.append((value, key))
        if isinstance(inner, (dict, list)):
            walk(inner, places)


def judged(found: Any) -> None:
    """Whatever a source let through, the cache keeps, and the agents speak about or abstain."""
    if isinstance(found, PostSample):
        assert PostsCodec().decode(orjson.loads(orjson.dumps(PostsCodec().encode(found)))) == found
        parameters = SentimentParameters(min_authors=1, min_effective_posts=1, max_spam_share=1)
        said = sentiment.speak(Evidence("UNI-USDT", Interval.DAY, NOW, posts=found), parameters)
    else:
        assert isinstance(found, Governance)
        read = GovernanceCodec().decode(orjson.loads(orjson.dumps(GovernanceCodec().encode(found))))
        assert read.proposals == found.proposals
        evidence = Evidence("UNI-USDT", Interval.DAY, NOW, governance=found)
        said = activist.speak(evidence, ActivistParameters(min_proposals=1, min_past_proposals=1))
    assert not isinstance(said, Signal) or (-1 <= said.score <= 1 and 0 <= said.confidence <= 1)


@pytest.mark.parametrize("name", KINDS)
async def test_damaged_answer_gives_data_or_a_provider_error(
    name: str, open_context: SourceContext, server: SourceServer
) -> None:
    chance = random.Random(f"damage to {name}")

    def answer(question: Question) -> Any:
        document: Any = WHOLE[name](question)
        for _ in range(chance.choice((1, 1, 2, 5))):
            document = damaged(document, chance) if isinstance(document, (dict, list)) else document
        return document

    server.answer = answer
    source, reasons = KINDS[name](open_context), []
    for _ in range(DAMAGED_ANSWERS):
        try:
            judged(await source.fetch("UNI"))
        except ProviderError as error:
            reasons.append(error.reason)

    # Some damage is to a part that can be left out, or that is not read.
    assert 0 < len(reasons) < DAMAGED_ANSWERS
    assert all(0 < len(reason) < 200 and server.url not in reason for reason in reasons)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'"\xff"', b"1e999", b"[" * 5_000, b'{"data":' * 2_000]
)
async def test_answer_that_is_no_document_at_all_is_a_provider_error(
    name: str, body: bytes, open_context: SourceContext, server: SourceServer
) -> None:
    server.answer = lambda _: Reply(body)

    with pytest.raises(ProviderError):
        await KINDS[name](open_context).fetch("UNI")


@pytest.mark.parametrize("name", KINDS)
async def test_silent_service_is_down_after_its_deadline(
    name: str, open_context: SourceContext, server: SourceServer
) -> None:
    server.answer = lambda _: Reply({}, hang=True)
    source: Any = KINDS[name](open_context)
    source._client._deadline_seconds = 0.2

    with pytest.raises(SourceDown, match=f"^{name} does not answer"):
        await source.fetch("UNI")
