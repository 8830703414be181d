from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.broker_controller.cluster_rig import ClusterRig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ClusterRig]:
    """A cluster's API server, Redis and all three processes of a broker."""
    rig = ClusterRig(tmp_path)
    try:
        await rig.start()
        yield rig
    finally:
        await rig.close()
