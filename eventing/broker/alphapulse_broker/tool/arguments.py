"""Arguments of the operator's commands."""

import argparse
import re
from datetime import UTC, datetime, timedelta

from alphapulse_broker.durations import parse_duration
from alphapulse_broker.operations import Selection

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse names the type of its own result only so

COMMANDS = ("status", "triggers", "lag", "dead-letters", "parked", "replay", "drain", "trim")

EXIT_STATUSES = """exit status:
  0  done
  1  failed: Redis does not answer, no trigger table, an unknown trigger
  2  wrong arguments or settings
  3  not as asked: a deadline passed, nothing was found, entries were held back, --yes is missing"""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORT = re.compile(r"(\d+)([smhdw])")


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add the operator's commands to a parser."""
    _add(commands, "status", "processes, Redis and totals", ["status", "status --json | jq .redis.problems"])
    triggers = _add(
        commands,
        "triggers",
        "filters, subscriber and delivery of each trigger",
        ["triggers", "triggers work"],
    )
    triggers.add_argument("trigger", nargs="?", help="this trigger only")
    lag = _add(
        commands,
        "lag",
        "entries waiting, in flight, delayed and parked, per trigger",
        ["lag", "lag work --json"],
    )
    lag.add_argument("trigger", nargs="?", help="this trigger only")
    _add_dead_letters(commands)
    _add_replay(commands)
    _add_drain(commands)
    _add_trim(commands)


def selection(options: argparse.Namespace) -> Selection:
    """Return which parked entries the arguments mean."""
    return Selection(
        trigger=options.trigger,
        entry_id=getattr(options, "id", None),
        tenant=options.tenant,
        event_type=options.type,
        since=options.since,
        before=getattr(options, "older_than", None),
    )


def parse_length(text: str) -> timedelta:
    """Return the length of `30s`, `15m`, `2h`, `7d`, `1w` or an ISO 8601 duration."""
    short = _SHORT.fullmatch(text)
    if short is not None:
        return timedelta(seconds=int(short[1]) * _UNITS[short[2]])
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a duration such as 2h or PT2H, was {text!r}") from error


def parse_moment(text: str) -> datetime:
    """Return a moment: an ISO 8601 time with its zone, or a duration that reaches back from now."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC) - parse_length(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"a time needs its zone, such as {text}Z")
    return moment.astimezone(UTC)


def _add(
    commands: "Commands[argparse.ArgumentParser]", name: str, purpose: str, examples: list[str]
) -> argparse.ArgumentParser:
    lines = "\n".join(f"  python -m alphapulse_broker {example}" for example in examples)
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=purpose,
        description=purpose[0].upper() + purpose[1:] + ".",
        epilog=f"examples:\n{lines}\n\n{EXIT_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        aliases=["parked"] if name == "dead-letters" else [],
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", help="events of this tenant (extension tenantid)")
    parser.add_argument("--type", help="events of this type")
    parser.add_argument("--since", type=parse_moment, help="parked since: 2h, PT2H or 2026-01-31T08:00Z")


def _add_dead_letters(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "dead-letters",
        "parked entries: events that no sink accepted, without their data",
        ["dead-letters --trigger work --since 2h", "dead-letters --show 1700000000000-0"],
    )
    parser.add_argument("--trigger", help="of this trigger only")
    _add_filters(parser)
    parser.add_argument("--limit", type=_positive, default=100, help="entries per page (default 100)")
    parser.add_argument("--after", metavar="TRIGGER/ID", help="the next page, as the page before says")
    parser.add_argument("--show", metavar="ID", help="one entry with its attributes and its data")


def _add_replay(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "replay",
        "put parked entries back as fresh events; may be repeated",
        ["replay work 1700000000000-0", "replay work --type order.place --dry-run", "replay --all"],
    )
    parser.add_argument("trigger", nargs="?", help="of this trigger")
    parser.add_argument("id", nargs="?", help="this entry only")
    _add_filters(parser)
    parser.add_argument("--all", action="store_true", help="of all triggers")
    parser.add_argument("--dry-run", action="store_true", help="say what would be replayed")


def _add_drain(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "drain",
        "wait until a trigger has nothing waiting, in flight or delayed",
        ["drain work", "drain work --deadline 10m"],
    )
    parser.description = (
        "Wait until a trigger has nothing waiting, in flight or delayed. The broker goes on accepting: "
        "stop the senders first, or narrow the filter. Parked entries do not count."
    )
    parser.add_argument("trigger")
    parser.add_argument(
        "--deadline", type=parse_length, default=timedelta(minutes=5), help="give up after (default 5m)"
    )


def _add_trim(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = _add(
        commands,
        "trim",
        "remove parked entries for good; without --yes, say what would be removed",
        ["trim --older-than 30d", "trim --trigger work --older-than 30d --export work.jsonl --yes"],
    )
    parser.add_argument("--trigger", help="of this trigger only")
    parser.add_argument("--id", help="this entry only (with --trigger)")
    _add_filters(parser)
    parser.add_argument("--older-than", type=parse_moment, help="parked longer ago: 30d, P30D or a time")
    parser.add_argument("--all", action="store_true", help="everything that is parked")
    parser.add_argument(
        "--export", metavar="FILE", help="first write them to a new file, one JSON object a line"
    )
    parser.add_argument("--yes", action="store_true", help="really remove")


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, was {text!r}")
    return int(text)
