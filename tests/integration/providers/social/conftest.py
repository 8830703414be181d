"""The live networks at the test's server, without their pace: what is tested here is what they answer."""

from collections.abc import AsyncIterator, Mapping

import pytest

from alphapulse.providers.budget import Pace
from alphapulse.providers.providers import ProviderOptions, SourceKind
from alphapulse.providers.source import SourceContext
from alphapulse.providers.transport import SourceClient
from alphapulse.tenancy.cache import CacheConnection
from tests.integration.providers.conftest import Clock
from tests.source_server import SourceServer

TOKEN = "bearer-of-the-platform"


class Unpaced(SourceContext):
    """Builds clients that need not wait."""

    def client(
        self, source: str, default_url: str, *, pace: Pace, headers: Mapping[str, str] | None = None
    ) -> SourceClient:
        return super().client(source, default_url, pace=Pace(per_minute=1e6, burst=10_000), headers=headers)


@pytest.fixture
def options(server: SourceServer) -> ProviderOptions:
    return ProviderOptions(
        kind=SourceKind.LIVE, addresses=dict.fromkeys(("reddit", "x"), server.url), keys={"x": TOKEN}
    )


@pytest.fixture
async def context(options: ProviderOptions, clock: Clock) -> AsyncIterator[SourceContext]:
    built = Unpaced(options, CacheConnection(None), clock=clock)
    yield built
    await built.close()
