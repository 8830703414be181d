"""Command line: `python -m alphapulse_broker ingress|dispatcher|status|parked|replay`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from alphapulse_broker import operations
from alphapulse_broker.errors import BrokerError
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.settings import Settings, settings_from_environment


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the process's exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = settings_from_environment()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            print(f"BROKER_{name.removeprefix('BROKER_')}: {problem['msg']}", file=sys.stderr)  # noqa: T201 - command line
        return 2
    try:
        return _run(options, settings)
    except BrokerError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - command line
        return 1


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.command in ("ingress", "dispatcher"):
        _serve(options.command, settings)
        return 0
    print(asyncio.run(_operate(options, settings)))  # noqa: T201 - command line
    return 0


def _serve(command: str, settings: Settings) -> None:
    # Each process loads only what it needs: uvicorn for a server, aiohttp for the dispatcher.
    from alphapulse_broker import serving  # noqa: PLC0415 - see above

    serving.configure_logging(settings.log_level)
    if command == "ingress":
        from alphapulse_broker.ingress import serve as serve_ingress  # noqa: PLC0415 - see above

        serving.run(serve_ingress(settings))
    else:
        from alphapulse_broker.dispatcher import serve as serve_dispatcher  # noqa: PLC0415 - see above

        serving.run(serve_dispatcher(settings))


async def _operate(options: argparse.Namespace, settings: Settings) -> str:
    log = EventLog(settings)
    try:
        if options.command == "replay":
            count = await operations.replay(log, trigger=options.trigger, entry_id=options.id)
            if options.id is not None and not count:
                raise BrokerError(f"trigger {options.trigger} has no parked entry {options.id}")
            return f"replayed {count}"
        rows: list[operations.TriggerStatus] | list[operations.ParkedEntry]
        if options.command == "status":
            rows = await operations.status(log)
        else:
            rows = await operations.parked(log, trigger=options.trigger, limit=options.limit)
        return operations.as_json(rows) if options.json else operations.as_table(rows)
    finally:
        await log.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alphapulse_broker",
        description="A Knative Broker whose log is Redis Streams. Settings: "
        + ", ".join(_variables())
        + " (environment; BROKER_REDIS_URL is required).",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ingress", help="accept events: POST /{namespace}/{broker} on BROKER_PORT")
    commands.add_parser("dispatcher", help="deliver events; health and metrics on BROKER_DISPATCHER_PORT")
    status = commands.add_parser("status", help="entries per trigger: lag, in flight, delayed, parked")
    parked = commands.add_parser("parked", help="list entries that no sink accepted")
    parked.add_argument("--trigger", help="of this trigger only")
    parked.add_argument("--limit", type=int, default=100, help="at most so many per trigger")
    for listing in (status, parked):
        listing.add_argument("--json", action="store_true", help="print JSON")
    replay = commands.add_parser("replay", help="put parked entries back into their trigger's stream")
    replay.add_argument("trigger")
    replay.add_argument("id", nargs="?", help="one entry; without it, all that are parked now")
    return parser


def _variables() -> list[str]:
    return [f"BROKER_{name.upper()}" for name in Settings.model_fields]


if __name__ == "__main__":
    sys.exit(main())
