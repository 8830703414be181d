"""Serve one function: health, readiness, metrics and shutdown around the function's app."""

import asyncio
import contextlib
import gc
import importlib
import signal
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from alphapulse.runtime.resources import Resources
from alphapulse.runtime.settings import Settings

_READY_TIMEOUT_SECONDS = 3


def build_function(resources: Resources) -> ASGIApp:
    """Import `functions.<name>.app` and build its app.

    Raises
    ------
    ModuleNotFoundError
        There is no such function.
    """
    module = importlib.import_module(f"functions.{resources.settings.function}.app")
    app: ASGIApp = module.build(resources)
    return app


def serving_app(resources: Resources) -> Starlette:
    """Return the process's outer app: `/health`, `/ready`, `/metrics`, lifespan, and the function."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive", "function": resources.settings.function})

    async def ready(_: Request) -> Response:
        try:
            async with asyncio.timeout(_READY_TIMEOUT_SECONDS):
                missing = await resources.not_ready()
        except TimeoutError:
            missing = ["timeout"]
        status = "ready" if not missing else "not ready"
        return JSONResponse(
            {"status": status, "unreachable": missing}, status_code=200 if not missing else 503
        )

    async def metrics(_: Request) -> Response:
        from alphapulse.runtime.metrics import exposition  # noqa: PLC0415 - imported when scraped

        body, media_type = exposition()
        return Response(body, headers={"content-type": media_type})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await resources.close()

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", metrics),
            Mount("/", build_function(resources)),
        ],
        lifespan=lifespan,
    )


def _exit(_: int, __: object) -> NoReturn:
    raise SystemExit(0)


def serve(settings: Settings) -> None:
    """Run the function's server until SIGTERM; requests in flight are finished first."""
    import uvicorn  # noqa: PLC0415 - tests build the app without a server

    from alphapulse.runtime.logs import configure_logs  # noqa: PLC0415

    configure_logs(function=settings.function, level=settings.log_level)
    # uvicorn raises the signal again once it has shut down; being told to stop is no failure.
    signal.signal(signal.SIGTERM, _exit)
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "loop": "uvloop",
        "http": "httptools",
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "timeout_graceful_shutdown": settings.shutdown_seconds,
        # Longer than the gateway keeps idle connections, so that it is never the server that closes.
        "timeout_keep_alive": 75,
    }
    app = serving_app(Resources(settings))
    gc.freeze()
    gc.enable()
    uvicorn.run(app, **options)
