"""Command line: the broker's servers, and the operator's commands of `tool`."""

import argparse
import asyncio
import importlib.util
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from pydantic import ValidationError

from alphapulse_broker.errors import BrokerError, InvalidAddress, UnknownEntry
from alphapulse_broker.settings import Settings, settings_from_environment
from alphapulse_broker.tool.arguments import EXIT_STATUSES, add_commands
from alphapulse_broker.tool.commands import FAILED, NOT_AS_ASKED, WRONG_ARGUMENTS, operate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the process's exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = settings_from_environment()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            print(f"BROKER_{name.removeprefix('BROKER_')}: {problem['msg']}", file=sys.stderr)  # noqa: T201 - command line
        return WRONG_ARGUMENTS
    try:
        return _run(options, settings)
    except BrokerError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - command line
        if isinstance(error, InvalidAddress):
            return WRONG_ARGUMENTS
        return NOT_AS_ASKED if isinstance(error, UnknownEntry) else FAILED


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.command in ("ingress", "dispatcher", "controller"):
        _serve(options.command, settings)
        return 0
    return asyncio.run(operate(options, settings))


def _serve(command: str, settings: Settings) -> None:
    # Each process loads only what it needs: uvicorn for a server, aiohttp for the dispatcher.
    from alphapulse_broker import serving  # noqa: PLC0415 - see above

    serving.configure_logging(settings.log_level)
    if command == "ingress":
        from alphapulse_broker.ingress import serve as serve_ingress  # noqa: PLC0415 - see above

        serving.run(serve_ingress(settings))
    elif command == "controller":
        serving.run(_controller(settings))
    else:
        from alphapulse_broker.dispatcher import serve as serve_dispatcher  # noqa: PLC0415 - see above

        serving.run(serve_dispatcher(settings))


def _controller(settings: Settings) -> Coroutine[Any, Any, None]:
    if importlib.util.find_spec("kopf") is None:
        raise BrokerError("the controller needs kopf: install alphapulse-broker[controller]")
    from alphapulse_broker.controller.operator import serve  # noqa: PLC0415 - kopf is an extra

    return serve(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alphapulse_broker",
        description="A Knative Broker whose log is Redis Streams. Settings: "
        + ", ".join(_variables())
        + " (environment; BROKER_REDIS_URL is required).",
        epilog=EXIT_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ingress", help="accept events: POST /{namespace}/{broker} on BROKER_PORT")
    commands.add_parser("dispatcher", help="deliver events; health and metrics on BROKER_DISPATCHER_PORT")
    commands.add_parser(
        "controller",
        help="in a cluster: reconcile Broker and Trigger objects; health on BROKER_CONTROLLER_PORT",
    )
    add_commands(commands)
    return parser


def _variables() -> list[str]:
    return [f"BROKER_{name.upper()}" for name in Settings.model_fields]


if __name__ == "__main__":
    sys.exit(main())
