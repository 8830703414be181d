"""What each command does."""

import argparse
import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

from alphapulse_local.console import Console
from alphapulse_local.leftovers import started_ticks
from alphapulse_local.options import Options
from alphapulse_local.state import AlreadyRunning, StateDirectory

FAILED = 1
REFUSED = 2

_DOWN_SECONDS = 40.0
_STATUS_SECONDS = 10.0


def up(arguments: argparse.Namespace) -> int:
    """Run a platform until it is told to stop."""
    import uvloop  # noqa: PLC0415 - as below

    from alphapulse_local.embedded.process import ServerDidNotStart  # noqa: PLC0415 - `status` and `down` are quick without
    from alphapulse_local.lifecycle import Platform  # noqa: PLC0415 - as above
    from alphapulse_local.manifests import ManifestError  # noqa: PLC0415 - as above
    from alphapulse_local.ports import PortInUse  # noqa: PLC0415 - as above

    console = Console()
    options = Options(
        root=arguments.root.resolve(),
        state_directory=arguments.state_dir.resolve(),
        port=arguments.port,
        warm=arguments.warm,
        idle_seconds=arguments.idle,
        market_data_dir=arguments.market_data_dir,
        provider_data_dir=arguments.provider_data_dir,
        market_data_source=arguments.market_data_source,
        provider_source=arguments.provider_source,
        log_level=arguments.log_level or os.environ.get("LOG_LEVEL", "INFO").upper(),
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(Platform(options, console, os.environ), with_stdin=arguments.stop_with_stdin))
    except (PortInUse, AlreadyRunning) as error:
        console.fail(str(error))
        return REFUSED
    except (ManifestError, ServerDidNotStart) as error:
        console.fail(str(error))
        return FAILED
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Stop the platform that runs on a state directory."""
    console = Console()
    state = StateDirectory(arguments.state_dir)
    running = state.running()
    if running is None:
        console.note(f"no platform runs on {state.path}")
        return 0
    pid = running.get("pid")
    if pid is None:
        console.fail(f"the platform on {state.path} is still starting; try again in a moment")
        return FAILED
    began = started_ticks(pid)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_SECONDS
    while began is not None and started_ticks(pid) == began:
        if time.monotonic() > deadline:
            console.fail(f"process {pid} did not stop within {_DOWN_SECONDS:g} s")
            return FAILED
        time.sleep(0.05)
    console.note(f"stopped the platform on {running['url']} (process {pid})")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Show a running platform."""
    console = Console()
    state = StateDirectory(arguments.state_dir)
    running = state.running()
    if running is None:
        console.fail(f"no platform runs on {state.path}; start one: make up")
        return FAILED
    if "internal_url" not in running:
        console.note("the platform is starting")
        return 0
    try:
        document = fetch_status(running["internal_url"])
    except OSError as error:
        console.fail(f"the platform (process {running['pid']}) does not answer: {error}")
        return FAILED
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        console.status(document)
        console.note(f"\nAlphaPulse answers on {document['url']} (process {document['pid']})")
    return 0


def fetch_status(internal_url: str) -> dict[str, Any]:
    """Return the status document of a running platform; raises OSError when it does not answer."""
    # A proxy of the environment knows nothing of this machine's loopback addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(internal_url + "/_platform/status", timeout=_STATUS_SECONDS) as answer:
        document: dict[str, Any] = json.load(answer)
    return document


def logs(arguments: argparse.Namespace) -> int:
    """Show logs."""
    from alphapulse_local.log_view import show  # noqa: PLC0415 - one command's own

    state = StateDirectory(arguments.state_dir)
    return show(state, names=arguments.names, lines=arguments.lines, follow=arguments.follow)


def demo(arguments: Sequence[str]) -> int:
    """Hand over to the demonstration."""
    name = "alphapulse_local.demo"
    if importlib.util.find_spec(name) is None:
        Console().fail("this version has no demonstration")
        return FAILED
    return subprocess.call([sys.executable, "-m", name, *arguments])


def manifests(arguments: argparse.Namespace) -> int:
    """Check the manifests."""
    from alphapulse_local.manifest_check import check  # noqa: PLC0415 - one command's own

    return check(arguments.root, arguments.schemas)


def new_function(arguments: argparse.Namespace) -> int:
    """Create a function."""
    from alphapulse_local.scaffold import create  # noqa: PLC0415 - one command's own

    return create(arguments.root, arguments.name, event=arguments.event)


async def _run(platform: Any, *, with_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if with_stdin:
        # The other end of the pipe is closed by the kernel, however its owner ends.
        loop.add_reader(sys.stdin.fileno(), stop.set)
    await platform.run(stop)
