"""Show and follow the logs of a state directory."""

import time
from collections.abc import Sequence
from pathlib import Path

from alphapulse_local.console import Console
from alphapulse_local.embedded.process import log_tail
from alphapulse_local.state import StateDirectory

_POLL_SECONDS = 0.25


def show(state: StateDirectory, *, names: Sequence[str], lines: int, follow: bool) -> int:
    """Print the last lines of each log, then what is added; return the exit status."""
    known = _logs(state)
    unknown = [name for name in names if name not in known]
    if unknown:
        Console().fail(f"no log of {', '.join(unknown)}; there are: {', '.join(known) or 'none'}")
        return 1
    if not known:
        Console().note(f"no logs in {state.logs} yet")
        return 0
    sizes: dict[str, int] = {}
    for name in names or known:
        sizes[name] = known[name].stat().st_size
        for line in log_tail(known[name], lines=lines).splitlines():
            print(f"{name}: {line}")
    if follow:
        _follow(state, names=names, sizes=sizes)
    return 0


def _follow(state: StateDirectory, *, names: Sequence[str], sizes: dict[str, int]) -> None:
    try:
        while True:
            for name, path in _logs(state).items():
                if not names or name in names:
                    _print_added(name, path, sizes)
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _print_added(name: str, path: Path, sizes: dict[str, int]) -> None:
    size = path.stat().st_size
    # A log that became shorter was rotated: it is read from its beginning.
    begin = sizes.get(name, 0) if size >= sizes.get(name, 0) else 0
    sizes[name] = size
    if size > begin:
        with path.open(errors="replace") as file:
            file.seek(begin)
            for line in file.read(size - begin).splitlines():
                print(f"{name}: {line}", flush=True)


def _logs(state: StateDirectory) -> dict[str, Path]:
    """Return name -> log file, the embedded servers' own logs included."""
    logs = {path.stem: path for path in sorted(state.logs.glob("*.log"))}
    servers = {
        "postgres": state.path / "postgres" / "postgres.log",
        "redis-cache": state.path / "redis-cache" / "redis.log",
        "redis-broker": state.path / "redis-broker" / "redis.log",
    }
    return logs | {name: path for name, path in servers.items() if path.exists()}
