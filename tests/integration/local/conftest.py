import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from alphapulse_local.manifests import FunctionManifest
from tests.integration.local.laptop import Laptop, OpenLaptop, running_laptop


@pytest.fixture
def manifest() -> FunctionManifest:
    return FunctionManifest(name="echo", path=Path("echo.yaml"), timeout_seconds=20)


@pytest.fixture
async def laptop(
    tmp_path: Path,
) -> AsyncIterator[OpenLaptop]:
    """Return a function that opens a gateway; each opened one is closed at the end of the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def opened(*manifests: FunctionManifest, **settings: Any) -> Laptop:
            return await stack.enter_async_context(running_laptop(tmp_path, manifests, **settings))

        yield opened
