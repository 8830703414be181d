"""How a function's process is started, and who is told about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from alphapulse_local.manifests import FunctionManifest


class Reporter(Protocol):
    """Receives what the operator should read."""

    def note(self, text: str) -> None:
        """Tell something expected."""

    def warn(self, text: str) -> None:
        """Tell something that went wrong."""


@dataclass(frozen=True)
class Launch:
    """How a function's process is started.

    Attributes
    ----------
    command
        Program and arguments, the same for every function.
    environment
        Gives a function's environment; `HOST` and `PORT` are added.
    cwd
        Working directory: the repository's root, so that `functions.<name>` can be imported.
    start_seconds
        Time a process has to answer its health path.
    stop_seconds
        Time a process has to end after SIGTERM.
    idle_seconds
        Overrides every manifest's scale-down window.
    warm
        Start at once, restart after a crash, never scale to zero.
    """

    command: Sequence[str]
    environment: Callable[[FunctionManifest], Mapping[str, str]]
    cwd: Path
    start_seconds: float = 30.0
    stop_seconds: float = 10.0
    idle_seconds: float | None = None
    warm: bool = False
