"""The controller process: kopf watches, the control loop reconciles, a small server answers probes."""

import asyncio
import logging
import signal
import sys
from typing import Any

import kopf
import structlog

from alphapulse_broker.controller.control_loop import ControlLoop
from alphapulse_broker.controller.kubernetes import NO_CREDENTIALS, ApiUnavailable, KubernetesApi, credentials
from alphapulse_broker.controller.logs import BrokerLogs
from alphapulse_broker.controller.metrics import ControllerMetrics
from alphapulse_broker.controller.probes import serve_probes
from alphapulse_broker.controller.references import Reference
from alphapulse_broker.settings import Settings

_LOGGER = structlog.get_logger("broker.controller")

# The API server takes objects up to 10,000 levels deep, and kopf copies them with two calls a level.
# One that is deeper than Python's usual limit would make every list that contains it unreadable, and
# so stop all brokers.
_CALLS = 2 * 10_000
_WATCHED_REFERENTS = (("serving.knative.dev", "v1", "services"), ("", "v1", "services"))


async def serve(settings: Settings) -> None:
    """Run the controller until SIGTERM or SIGINT.

    Raises
    ------
    ApiUnavailable
        There is nothing to log in with.
    """
    _log_as_json()
    sys.setrecursionlimit(sys.getrecursionlimit() + _CALLS)
    if credentials() is None:
        raise ApiUnavailable(NO_CREDENTIALS)
    logs, metrics = BrokerLogs(settings), ControllerMetrics()
    try:
        async with KubernetesApi() as api:
            loop = ControlLoop(settings, api, logs, metrics)
            await _run(settings, loop, logs, metrics)
    finally:
        await logs.close()


def registry(loop: ControlLoop) -> kopf.OperatorRegistry:
    """Return what kopf is to watch: each event only makes the control loop look again."""
    found = kopf.OperatorRegistry()

    @kopf.on.login(registry=found)
    def login(**_: Any) -> kopf.ConnectionInfo | None:
        return credentials()

    @kopf.on.event("eventing.knative.dev", "v1", "brokers", registry=found)
    @kopf.on.event("eventing.knative.dev", "v1", "triggers", registry=found)
    async def changed(**_: Any) -> None:
        loop.look_again()

    for group, version, plural in _WATCHED_REFERENTS:

        @kopf.on.event(group, version, plural, registry=found)
        async def referent_changed(body: kopf.Body, name: str, namespace: str | None, **_: Any) -> None:
            loop.referent_changed(Reference(body["apiVersion"], body["kind"], namespace or "", name))

    return found


def operator_settings() -> kopf.OperatorSettings:
    """Return kopf's settings: it watches and writes nothing."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Needs no right to look at namespaces and definitions; the kinds are looked up at start.
    settings.scanning.disabled = True
    settings.networking.error_backoffs = [1, 1, 2, 3, 5]
    return settings


async def _run(settings: Settings, loop: ControlLoop, logs: BrokerLogs, metrics: ControllerMetrics) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await serve_probes(settings, loop, logs, metrics)
    stopping = asyncio.create_task(_stopped(stop))
    reconciling = asyncio.create_task(loop.run())
    announcing = asyncio.create_task(logs.announce())
    watching = asyncio.create_task(_watch(loop))
    _LOGGER.info("started", port=settings.controller_port)
    work = (watching, announcing, reconciling)
    await asyncio.wait([stopping, *work], return_when=asyncio.FIRST_COMPLETED)
    _LOGGER.info("stopping")
    for task in (*work, stopping):
        task.cancel()
        await asyncio.wait([task])
    await server.cleanup()
    _LOGGER.info("stopped")
    for task in work:
        if not task.cancelled():
            task.result()


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()


async def _watch(loop: ControlLoop) -> None:
    # kopf looks up the kinds once, at its start: there must be an API server that has them by then.
    await loop.looked.wait()
    # From here on the signals are kopf's; it ends by itself.
    await kopf.operator(
        registry=registry(loop), settings=operator_settings(), clusterwide=True, standalone=True
    )


def _log_as_json() -> None:
    """Give kopf's own log lines the form of all others; of its chatter only what is wrong."""
    processors: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
