from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.broker.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    try:
        yield rig
    finally:
        await rig.close()
