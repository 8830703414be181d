"""What the operator reads: progress while starting, incidents while running, tables."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.table import Table

_PLAIN_WIDTH = 160
_STATE_STYLES = {
    "ready": "green",
    "starting": "yellow",
    "stopping": "yellow",
    "crashed": "red",
    "zero": "dim",
}


class Console:
    """Lines and tables on a terminal; plain lines when the output goes elsewhere."""

    def __init__(self) -> None:
        # Where nothing says how wide the reader's lines are, tables are not folded at 80.
        width = None if sys.stdout.isatty() else _PLAIN_WIDTH
        self._out = RichConsole(highlight=False, width=width)

    def note(self, text: str) -> None:
        """Tell something expected."""
        self._out.print(text, markup=False, soft_wrap=True)

    def done(self, text: str, *, seconds: float) -> None:
        """Tell that a step of the start is over."""
        mark = "[green]✓[/]" if self._out.is_terminal else "ok"
        self._out.print(f"{mark} {text} [dim]({seconds:.1f} s)[/]")

    def warn(self, text: str) -> None:
        """Tell something that went wrong and is handled."""
        self._out.print(f"! {text}", style="yellow", markup=False, soft_wrap=True)

    def fail(self, text: str) -> None:
        """Tell why the command fails; goes to standard error."""
        RichConsole(file=sys.stderr, highlight=False, soft_wrap=True).print(
            f"alphapulse: {text}", style="red", markup=False
        )

    def status(self, document: Mapping[str, Any]) -> None:
        """Show the tables of a running platform."""
        self.functions(document["functions"])
        self._components(document["components"])
        self._sources(document.get("sources", {}))
        broker = document.get("broker")
        if broker:
            self._broker(broker)

    def functions(self, functions: Sequence[Mapping[str, Any]]) -> None:
        """Show the table of functions."""
        table = self._table(
            "function", "state", "pid", "uptime", "in flight", "restarts", "routes and triggers"
        )
        for function in functions:
            state = function["state"]
            table.add_row(
                function["name"],
                f"[{_STATE_STYLES.get(state, '')}]{state}[/]",
                _cell(function["pid"]),
                duration(function["uptime_seconds"]),
                str(function["in_flight"]),
                str(function["restarts"]),
                ", ".join((*function["routes"], *function["triggers"])),
            )
        self._out.print(table)

    def ready(self, url: str, *, seconds: float, logs: Path, notes: str) -> None:
        """Say where the platform answers, what to do next, and what is not the real thing."""
        self.note(
            f"\nAlphaPulse answers on {url} (ready in {seconds:.1f} s)\n"
            "  make demo     walks through sign-up, signals and a trade\n"
            "  make status   shows this table again\n"
            f"  make logs     follows {logs}\n"
            "  Ctrl-C        stops everything; the data stay\n" + notes
        )

    def _components(self, components: Mapping[str, Mapping[str, Any]]) -> None:
        table = self._table("component", "state", "pid", "restarts", "where")
        for name, component in components.items():
            state = component["state"]
            table.add_row(
                name,
                f"[{_STATE_STYLES.get(state, '')}]{state}[/]",
                _cell(component.get("pid")),
                _cell(component.get("restarts")),
                component.get("where", ""),
            )
        self._out.print(table)

    def _sources(self, sources: Mapping[str, Mapping[str, str]]) -> None:
        table = self._table("data", "source", "why")
        for name, source in sources.items():
            table.add_row(name, source["source"], source["reason"])
        self._out.print(table)

    def _broker(self, broker: Mapping[str, Mapping[str, Any]]) -> None:
        figures = sorted({figure for trigger in broker.values() for figure in trigger})
        table = self._table("trigger", *figures)
        for name, trigger in broker.items():
            table.add_row(name, *(_cell(trigger.get(figure)) for figure in figures))
        self._out.print(table)

    @staticmethod
    def _table(*columns: str) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        return table


def duration(seconds: float | None) -> str:
    """Return a readable duration such as `1h02m`, or `-`."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def _cell(value: Any) -> str:
    return "-" if value is None else str(value)
