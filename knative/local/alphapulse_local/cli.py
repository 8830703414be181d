"""The commands: `python -m alphapulse_local up|down|status|logs|demo|manifests|new-function`."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from alphapulse_local import commands
from alphapulse_local.options import DEFAULT_PORT, MARKET_SOURCES, PROVIDER_SOURCES, REPOSITORY


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 cannot be done as asked."""
    parser = _parser()
    parsed, rest = parser.parse_known_args(arguments)
    if parsed.command == "demo":
        return commands.demo(rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    run = {
        "up": commands.up,
        "down": commands.down,
        "status": commands.status,
        "logs": commands.logs,
        "manifests": commands.manifests,
        "new-function": commands.new_function,
    }[parsed.command]
    return run(parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alphapulse_local", description="Knative on a laptop.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state-dir", type=Path, default=REPOSITORY / ".local", help="data, logs, secrets")
    common.add_argument("--root", type=Path, default=REPOSITORY, help="the repository")
    command = parser.add_subparsers(dest="command", required=True)

    up = command.add_parser("up", parents=[common], help="start the platform; Ctrl-C stops it")
    up.add_argument("--port", type=_port, default=DEFAULT_PORT, help="of the gateway; 0 picks a free one")
    up.add_argument("--warm", action="store_true", help="keep every function up")
    up.add_argument("--idle", type=_seconds, help="seconds until an idle function is stopped")
    up.add_argument("--market-data-dir", type=_directory, default=_environment_text("MARKET_DATA_DIR"))
    up.add_argument("--provider-data-dir", type=_directory, default=_environment_text("PROVIDER_DATA_DIR"))
    for option, variable, sources in (
        ("--market-data-source", "MARKET_DATA_SOURCE", MARKET_SOURCES),
        ("--provider-source", "PROVIDER_SOURCE", PROVIDER_SOURCES),
    ):
        up.add_argument(
            option,
            type=_one_of(sources),
            default=_environment_text(variable),
            metavar="NAME",
            help=f"{', '.join(sources)}; what can be reached when not given",
        )
    up.add_argument("--log-level", type=str.upper, choices=("DEBUG", "INFO", "WARNING", "ERROR"))

    up.add_argument(
        "--stop-with-stdin", action="store_true", help="stop when standard input closes (for programs)"
    )

    command.add_parser("down", parents=[common], help="stop the platform, wherever it was started")
    show = command.add_parser("status", parents=[common], help="show functions, components and the broker")
    show.add_argument("--json", action="store_true", help="print the document instead of tables")
    logs = command.add_parser("logs", parents=[common], help="show the logs")
    logs.add_argument("names", nargs="*", help="functions or components; all when none is given")
    logs.add_argument("--lines", type=int, default=20, help="of each log to begin with")
    logs.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    command.add_parser("demo", add_help=False, help="walk through the product")
    check = command.add_parser("manifests", parents=[common], help="check the Knative objects")
    check.add_argument("--schemas", type=Path, help="directory of API schemas")
    new = command.add_parser("new-function", parents=[common], help="create a function from a template")
    new.add_argument("name", help="folder name, such as signal_momentum")
    new.add_argument("--event", help="event type it consumes; without one it serves HTTP")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:  # noqa: PLR2004 - the range of TCP ports
        raise argparse.ArgumentTypeError(f"a port is between 0 and 65535, was {port}")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"seconds must be positive, was {text}")
    return seconds


def _directory(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is no directory")
    return path


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, was {text!r}")
        return text

    return read


def _environment_text(name: str) -> str | None:
    # argparse converts a default that is text as if it had been given.
    return os.environ.get(name) or None
