"""All platforms together: proposals of all, the treasury of one, and what is missing by name."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from alphapulse.domain.agents.activist import speak
from alphapulse.domain.agents.activist_parameters import ActivistParameters
from alphapulse.domain.agents.evidence import Evidence
from alphapulse.domain.instruments import Interval
from alphapulse.domain.signals import Abstention, Signal
from alphapulse.providers.errors import AssetUnknown
from alphapulse.providers.providers import ProviderOptions, Providers
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers.conftest import NOW, Clock
from tests.integration.providers.governance.answers import everything
from tests.provider_counts import Counts
from tests.source_server import Reply, SourceServer

Build = Callable[[CacheConnection], Providers]


@pytest.fixture
def providers(new_providers: Build, connection: CacheConnection, server: SourceServer) -> Providers:
    server.answer = everything
    return new_providers(connection)


async def test_platforms_are_put_together_and_the_agent_speaks(providers: Providers) -> None:
    found = await providers.governance("UNI")
    said = speak(Evidence("UNI-USDT", Interval.DAY, NOW, governance=found), ActivistParameters())

    assert (found.source, dict(found.missing)) == ("snapshot+tally+defillama", {})
    assert len(found.proposals) == 20
    assert [proposal.started_at for proposal in found.proposals] == sorted(
        (proposal.started_at for proposal in found.proposals), reverse=True
    )
    assert found.eligible_votes == 250e6
    assert found.treasury_usd is not None
    assert found.treasury_usd.source == "defillama"
    assert isinstance(said, Signal)


async def test_second_question_is_answered_from_the_cache(
    providers: Providers, new_providers: Build, other_connection: CacheConnection, server: SourceServer
) -> None:
    first = await providers.governance("UNI")
    asked = len(server.questions)

    again = await new_providers(other_connection).governance("UNI")

    assert again.proposals == first.proposals
    assert len(server.questions) == asked


async def test_without_a_key_snapshot_speaks_and_tally_is_named(
    options: ProviderOptions, connection: CacheConnection, clock: Clock, counts: Counts, server: SourceServer
) -> None:
    server.answer = everything
    keyless = Providers(replace(options, keys={}), cache=connection, clock=clock, observer=counts)

    found = await keyless.governance("UNI")
    await keyless.close()

    assert dict(found.missing) == {"tally": "no key is set for tally"}
    assert len(found.proposals) == 12


async def test_treasury_alone_lets_the_agent_abstain_and_say_who_is_missing(
    providers: Providers, server: SourceServer
) -> None:
    server.answer = lambda question: (
        everything(question) if question.path.startswith("/treasury/") else Reply({}, status=500)
    )

    found = await providers.governance("UNI")
    said = speak(Evidence("UNI-USDT", Interval.DAY, NOW, governance=found), ActivistParameters())

    assert isinstance(said, Abstention)
    assert said.reason.endswith(
        "found 0; nothing from snapshot: snapshot answered 500; nothing from tally: tally answered 500"
    )


async def test_holders_of_bitcoin_do_not_vote_and_nobody_is_asked(
    providers: Providers, server: SourceServer
) -> None:
    with pytest.raises(AssetUnknown, match=r"^holders of BTC do not vote on proposals$"):
        await providers.governance("BTC")

    assert server.questions == []


async def test_asset_of_which_nothing_is_known_is_told_apart(providers: Providers) -> None:
    with pytest.raises(AssetUnknown, match="no source of governance data knows 'NOPE'"):
        await providers.governance("NOPE")
