"""What each of the operator's commands prints, and with which exit status it ends."""

import argparse
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict
from typing import BinaryIO

from alphapulse_broker import operations
from alphapulse_broker.event_log import EventLog
from alphapulse_broker.settings import Settings
from alphapulse_broker.tool.arguments import selection
from alphapulse_broker.tool.output import as_age, as_json, as_json_line, as_table
from alphapulse_broker.tool.summary import as_summary

DONE = 0
FAILED = 1
WRONG_ARGUMENTS = 2
NOT_AS_ASKED = 3


async def operate(options: argparse.Namespace, settings: Settings) -> int:
    """Run one operator's command; return the exit status."""
    log = EventLog(settings)
    try:
        return await _COMMANDS[options.command](log, options)
    finally:
        await log.close()


async def _status(log: EventLog, options: argparse.Namespace) -> int:
    found = await operations.status(log)
    if options.json:
        _say(as_json(found))
        return DONE
    _say(as_summary(found))
    return DONE


async def _triggers(log: EventLog, options: argparse.Namespace) -> int:
    found = await operations.triggers(log, trigger=options.trigger)
    if options.json:
        _say(as_json(found))
        return DONE
    rows = [
        {
            "trigger": row.trigger,
            "filters": as_json_line(row.filters).decode().strip() if row.filters else "all",
            "subscriber": as_json_line(row.subscriber).decode().strip(),
            "delivery": as_json_line(row.delivery).decode().strip(),
        }
        for row in found
    ]
    _say(as_table(rows))
    return DONE


async def _lag(log: EventLog, options: argparse.Namespace) -> int:
    found = await operations.lag(log, trigger=options.trigger)
    _say(as_json(found) if options.json else as_table([_lag_row(row) for row in found]))
    return DONE


async def _dead_letters(log: EventLog, options: argparse.Namespace) -> int:
    if options.show is not None:
        events = await operations.show(log, options.show, trigger=options.trigger)
        _say(as_json([event.as_json() for event in events]))
        return DONE
    page = await operations.dead_letters(log, selection(options), limit=options.limit, after=options.after)
    if options.json:
        _say(as_json(page))
        return DONE
    _say(as_table([_dead_letter_row(entry) for entry in page.entries]))
    if page.following is not None:
        _say(f"more: --after {page.following}")
    return DONE


async def _replay(log: EventLog, options: argparse.Namespace) -> int:
    if (options.trigger is None) != options.all:
        return _refuse("replay needs a trigger or --all, and not both")
    progress = _Progress()
    result = await operations.replay(
        log,
        selection(options),
        dry_run=options.dry_run,
        progress=lambda found: progress.show(f"{found.total} replayed"),
    )
    progress.end()
    if options.json:
        _say(as_json({**asdict(result), "total": result.total}))
    else:
        _say(f"{'would replay' if options.dry_run else 'replayed'} {result.total}")
        if result.gone:
            _say(f"gone meanwhile: {result.gone}")
        for name, count in result.held_back.items():
            _say(f"held back: {count} of {name}, whose stream is full or which is no trigger any more")
    if options.id is not None and not result.total and not result.held_back:
        _complain(f"trigger {options.trigger} has no parked entry {options.id}")
        return NOT_AS_ASKED
    return NOT_AS_ASKED if result.held_back else DONE


async def _drain(log: EventLog, options: argparse.Namespace) -> int:
    progress = _Progress()
    result = await operations.drain(
        log,
        options.trigger,
        deadline_seconds=options.deadline.total_seconds(),
        progress=lambda row: progress.show(
            f"{row.waiting} waiting, {row.in_flight} in flight, {row.delayed} delayed"
        ),
    )
    progress.end()
    if options.json:
        _say(as_json(result))
    elif result.drained:
        _say(f"{options.trigger} is empty after {as_age(result.seconds)}")
    else:
        row = result.lag
        _say(
            f"{options.trigger} still has {row.waiting} waiting, {row.in_flight} in flight,"
            f" {row.delayed} delayed after {as_age(result.seconds)}"
        )
    return DONE if result.drained else NOT_AS_ASKED


async def _trim(log: EventLog, options: argparse.Namespace) -> int:
    if (problem := _trim_problem(options)) is not None:
        return _refuse(problem)
    progress = _Progress()
    try:
        with _export(options.export if options.yes else None) as keep:
            result = await operations.trim(
                log,
                selection(options),
                confirmed=options.yes,
                keep=keep,
                progress=lambda found: progress.show(f"{found.total} removed"),
            )
    except OSError as error:
        progress.end()
        _complain(f"cannot export to {options.export}: {error.strerror}; nothing unsaved was removed")
        return FAILED
    progress.end()
    _say(as_json({**asdict(result), "total": result.total}) if options.json else _trim_text(result, options))
    if not options.yes and result.total:
        _complain("nothing was removed; say --yes to remove")
        return NOT_AS_ASKED
    return DONE


def _trim_problem(options: argparse.Namespace) -> str | None:
    criteria = (options.trigger, options.tenant, options.type, options.since, options.older_than)
    if not options.all and all(value is None for value in criteria):
        return "trim needs --older-than, --since, --trigger, --tenant, --type or --all"
    return "--id needs --trigger" if options.id is not None and options.trigger is None else None


def _trim_text(result: operations.TrimResult, options: argparse.Namespace) -> str:
    lines = []
    if result.removed:
        lines.append(
            as_table([{"trigger": name, "entries": count} for name, count in result.removed.items()])
        )
    lines.append(f"{'removed' if options.yes else 'would remove'} {result.total}")
    if options.export and options.yes:
        lines.append(f"exported {result.exported} to {options.export}")
    return "\n".join(lines)


@contextlib.contextmanager
def _export(path: str | None) -> Iterator[Callable[[Sequence[operations.ParkedEvent]], None] | None]:
    """Open a new file for what is about to be removed; nobody else may read tenants' data there."""
    if path is None:
        yield None
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield lambda events: _write(file, events)


def _write(file: BinaryIO, events: Sequence[operations.ParkedEvent]) -> None:
    file.writelines(as_json_line(event.as_json()) for event in events)
    file.flush()
    # On the disk before the entries leave Redis.
    os.fsync(file.fileno())


def _dead_letter_row(entry: operations.DeadLetter) -> dict[str, object]:
    return {
        "id": entry.id,
        "trigger": entry.trigger,
        "tenant": entry.tenant_id,
        "type": entry.event_type,
        "code": entry.error_code,
        "attempts": entry.attempts,
        "parked": entry.parked_at.isoformat(timespec="seconds"),
        "reason": entry.reason,
        "detail": entry.detail,
    }


def _lag_row(row: operations.TriggerLag) -> dict[str, object]:
    return {
        "trigger": row.trigger if row.in_table else f"{row.trigger} (removed)",
        "waiting": row.waiting,
        "in_flight": row.in_flight,
        "delayed": row.delayed,
        "parked": row.parked,
        "oldest": as_age(row.oldest_seconds) if row.waiting + row.in_flight else None,
        "next_retry": as_age(row.next_retry_seconds) if row.next_retry_seconds is not None else None,
        "dispatchers": row.dispatchers,
    }


class _Progress:
    """One line on a terminal's standard error that is written over; silent anywhere else."""

    def __init__(self) -> None:
        self._width = 0
        self._terminal = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._terminal:
            sys.stderr.write("\r" + text.ljust(self._width))
            sys.stderr.flush()
            self._width = len(text)

    def end(self) -> None:
        if self._width:
            sys.stderr.write("\n")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


def _refuse(text: str) -> int:
    _complain(text)
    return WRONG_ARGUMENTS


_COMMANDS: dict[str, Callable[[EventLog, argparse.Namespace], Awaitable[int]]] = {
    "status": _status,
    "triggers": _triggers,
    "lag": _lag,
    "dead-letters": _dead_letters,
    "parked": _dead_letters,
    "replay": _replay,
    "drain": _drain,
    "trim": _trim,
}
