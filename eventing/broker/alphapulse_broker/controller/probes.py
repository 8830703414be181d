"""`/health`, `/ready` and `/metrics` of the controller."""

import time

from aiohttp import web

from alphapulse_broker.controller.control_loop import ControlLoop
from alphapulse_broker.controller.logs import BrokerLogs
from alphapulse_broker.controller.metrics import ControllerMetrics
from alphapulse_broker.settings import Settings

# A loop that has not come round for so many resync intervals is stuck, not slow.
_STUCK_TURNS = 12


async def serve_probes(
    settings: Settings, loop: ControlLoop, logs: BrokerLogs, metrics: ControllerMetrics
) -> web.AppRunner:
    """Listen on the controller's port; `cleanup` of what is returned ends it."""
    longest = settings.resync_seconds * _STUCK_TURNS

    async def health(_: web.Request) -> web.Response:
        silent = time.monotonic() - loop.last_turn
        # Told apart from an unreachable API server, which a restart would not mend.
        stuck = silent > longest and not loop.problem
        return _answer(ok=not stuck, text=f"last turn {silent:.0f} s ago")

    async def ready(_: web.Request) -> web.Response:
        return _answer(ok=not loop.problem, text=loop.problem or "ready")

    async def exposition(_: web.Request) -> web.Response:
        metrics.measure(await logs.generations())
        return _answer(ok=True, text=metrics.exposition().decode())

    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/ready", ready), web.get("/metrics", exposition)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.host, settings.controller_port).start()
    return runner


def _answer(*, ok: bool, text: str) -> web.Response:
    response = web.Response(status=200 if ok else 503, text=text)
    # A connection kept open is a task, and kopf waits for every task of the loop when it stops.
    response.force_close()
    return response
