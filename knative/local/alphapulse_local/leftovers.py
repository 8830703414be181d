"""Records of started processes, and the end of those whose platform is gone.

Standard library only: the keeper runs this file as a script in a bare interpreter, so that it is
up in milliseconds. The keeper holds the reading end of a pipe whose writing end only the platform
has. However the platform ends, also by `kill -9`, the pipe closes and the keeper stops what the
platform recorded as started.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Record:
    """A started process; `started_ticks` tells it from a later one with the same id."""

    name: str
    pid: int
    started_ticks: int
    command: str
    stop_signal: int
    owner: int

    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return started_ticks(self.pid) == self.started_ticks


def started_ticks(pid: int) -> int | None:
    """Return when a process started in clock ticks since boot; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold spaces.
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    return None if state == "Z" else int(ticks)


def command_line(pid: int) -> str:
    """Return a process's command line, or an empty string."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def write(directory: Path, *, name: str, pid: int, command: str, stop_signal: int) -> None:
    """Record a process that was just started."""
    ticks = started_ticks(pid)
    if ticks is None:
        return
    record = Record(name, pid, ticks, command, stop_signal, os.getpid())
    target = directory / f"{name}.json"
    partial = target.with_suffix(".part")
    partial.write_text(json.dumps(asdict(record)))
    partial.replace(target)


def forget(directory: Path, *, name: str) -> None:
    """Drop the record of a process that ended."""
    (directory / f"{name}.json").unlink(missing_ok=True)


def read(directory: Path) -> list[Record]:
    """Return the records of a directory; unreadable ones are dropped."""
    records = []
    for path in sorted(directory.glob("*.json")):
        try:
            records.append(Record(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError):
            continue
    return records


def end(records: list[Record], *, on_end: Callable[[Record], None] | None = None) -> None:
    """Stop recorded processes that still run, politely first, and return when they are gone."""
    living = [record for record in records if record.alive()]
    for record in living:
        _signal(record, record.stop_signal)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(record.alive() for record in living) and time.monotonic() < deadline:
        time.sleep(0.02)
    for record in living:
        if record.alive():
            _signal(record, signal.SIGKILL)
        if on_end is not None:
            on_end(record)


def _signal(record: Record, number: int) -> None:
    # Each process leads its own group, so this reaches its children and nothing else.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(record.pid, number)


def _keep(directory: Path, owner: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    # Records of another owner belong to a platform that was started meanwhile.
    end([record for record in read(directory) if record.owner == owner])


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), int(sys.argv[2]))
