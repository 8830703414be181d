"""The live platforms at the test's server, without their pace: what is tested here is what they answer."""

from collections.abc import AsyncIterator

import pytest

from alphapulse.providers.providers import ProviderOptions, SourceKind
from alphapulse.providers.source import SourceContext
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers.conftest import Clock
from tests.integration.providers.social.conftest import Unpaced
from tests.source_server import SourceServer

KEY = "key-of-the-platform"


@pytest.fixture
def options(server: SourceServer) -> ProviderOptions:
    return ProviderOptions(
        kind=SourceKind.LIVE,
        addresses=dict.fromkeys(("snapshot", "tally", "defillama"), server.url),
        keys={"tally": KEY},
    )


@pytest.fixture
async def context(options: ProviderOptions, clock: Clock) -> AsyncIterator[SourceContext]:
    built = Unpaced(options, CacheConnection(None), clock=clock)
    yield built
    await built.close()
