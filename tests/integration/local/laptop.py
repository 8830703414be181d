"""A gateway with sample functions in the test's own process; the functions are real processes."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from alphapulse_local.children import Children
from alphapulse_local.function import Function
from alphapulse_local.gateway import Gateway
from alphapulse_local.launch import Launch
from alphapulse_local.manifests import FunctionManifest, Manifests, Route
from alphapulse_local.ports import address, listen, serving
from alphapulse_local.proxy import Proxy, new_session

SAMPLE = Path(__file__).with_name("sample_function.py")


@dataclass
class Notes:
    """Keeps what the platform tells its operator."""

    lines: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.lines.append(text)

    warn = note


@dataclass
class Laptop:
    """A gateway with sample functions, and a client that talks to it."""

    url: str
    internal_url: str
    functions: dict[str, Function]
    client: aiohttp.ClientSession
    notes: Notes
    children: Children

    @property
    def echo(self) -> Function:
        return self.functions["echo"]


class OpenLaptop(Protocol):
    async def __call__(self, *manifests: FunctionManifest, **settings: Any) -> Laptop: ...


async def until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running_laptop(
    directory: Path, manifests: tuple[FunctionManifest, ...], **settings: Any
) -> AsyncIterator[Laptop]:
    run, logs = directory / "run", directory / "logs"
    run.mkdir(exist_ok=True)
    notes, children = Notes(), Children(run, logs)
    launch = replace(
        Launch(
            command=[sys.executable, str(SAMPLE)],
            environment=lambda manifest: {"FUNCTION": manifest.folder},
            cwd=directory,
            stop_seconds=5,
        ),
        **settings,
    )
    functions = {
        manifest.name: Function(manifest, launch, processes=children, reporter=notes)
        for manifest in manifests
    }
    known = Manifests(
        functions={manifest.name: manifest for manifest in manifests},
        routes=tuple(Route(path="/" + name, exact=False, function=name) for name in functions),
        schedules=(),
        config_maps={},
    )

    async def status() -> dict[str, Any]:
        return {"functions": [function.status() for function in functions.values()]}

    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        session = await stack.enter_async_context(new_session())
        gateway = Gateway(known, functions, proxy=Proxy(session), status=status)
        for function in functions.values():
            stack.push_async_callback(function.close)
        public, internal = listen(0), listen(0)
        await stack.enter_async_context(serving(public, gateway.public))
        await stack.enter_async_context(serving(internal, gateway.internal))
        yield Laptop(
            url=address(public),
            internal_url=address(internal),
            functions=functions,
            client=client,
            notes=notes,
            children=children,
        )
