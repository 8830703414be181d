from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from alphapulse_local.embedded.process import stop
from tests.integration.broker.rig import Rig


@pytest.fixture
async def own_rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Processes of this test alone, for settings of its own and for killing."""
    rig = Rig(tmp_path)
    try:
        yield rig
    finally:
        await rig.close()


@pytest.fixture(scope="module")
def shared_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("broker"))
    rig.write()
    rig.boot()
    try:
        yield rig
    finally:
        for process in rig.processes.values():
            stop(process)
        rig.redis.stop()


@pytest.fixture
async def rig(shared_processes: Rig) -> AsyncIterator[Rig]:
    """Processes that serve one test after another, each with its own triggers."""
    shared_processes.reset()
    try:
        yield shared_processes
    finally:
        await shared_processes.leave()
