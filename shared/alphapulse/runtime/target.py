"""The functions-framework target of a function: `functions/<name>/main.py` calls `target`."""

import sys
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp

from alphapulse.runtime.resources import Resources
from alphapulse.runtime.serving import build_function
from alphapulse.runtime.settings import Settings


def target(main_file: str) -> Callable[[Request], Awaitable[Any]]:
    """Return an asynchronous functions-framework HTTP function that serves the folder of `main_file`.

    functions-framework answers with whatever ASGI callable its function returns, so the target
    returns the function's whole app.
    """
    folder = Path(main_file).resolve().parent
    root = str(folder.parent.parent)
    if root not in sys.path:
        # functions-framework puts only the function's own folder on the path.
        sys.path.append(root)

    @cache
    def app() -> ASGIApp:
        settings = Settings.from_environment()
        return build_function(Resources(settings.replace(function=folder.name)))

    # Any: the framework's annotations leave out that it serves an ASGI callable as it is.
    async def main(_: Request) -> Any:
        return app()

    return main
