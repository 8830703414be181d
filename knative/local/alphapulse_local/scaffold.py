"""Create a function from the templates: its folder, its tests, its manifest, its route or trigger."""

import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from alphapulse_local.console import Console

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SUFFIX = ".tmpl"


class CannotCreate(ValueError):
    """The function cannot be created as asked."""


def create(root: Path, name: str, *, event: str | None) -> int:
    """Create a function, say what was written, and return the exit status."""
    console = Console()
    try:
        written = write_function(root, name, event=event)
    except CannotCreate as error:
        console.fail(str(error))
        return 2
    for path in written:
        console.note(f"wrote {path.relative_to(root)}")
    console.note("a running platform sees it after a restart: make down up")
    return 0


def write_function(root: Path, name: str, *, event: str | None) -> list[Path]:
    """Write the files of a function and return them.

    Parameters
    ----------
    name
        Folder name; the Service's has `-` for `_`.
    event
        `noun.verb` it consumes; None makes an HTTP function.

    Raises
    ------
    CannotCreate
        The name is malformed or taken, or there is no such event. Nothing is written then.
    """
    _refuse_unusable(root, name, event)
    kind = "http" if event is None else "event"
    service = name.replace("_", "-")
    values = _values(name, event)
    templates = resources.files("alphapulse_local") / "templates"
    written = [
        _write(root / "functions" / name / template.name.removesuffix(_SUFFIX), template, values)
        for folder in ("function", kind)
        for template in sorted((templates / folder).iterdir(), key=lambda entry: entry.name)
    ]
    test = templates / f"{kind}_test" / "test_function.py.tmpl"
    written.append(_write(root / f"tests/function/{name}/test_{name}.py", test, values))
    base = root / "knative/base"
    written.append(_write(base / f"functions/{service}.yaml", templates / "service.yaml.tmpl", values))
    written.append(_list_in_base(base / "kustomization.yaml", f"  - functions/{service}.yaml"))
    if event is None:
        written.append(_append(base / "gateway/routes.yaml", templates / "route.yaml.tmpl", values))
    else:
        trigger = root / f"eventing/triggers/{service}.yaml"
        written.append(_write(trigger, templates / "trigger.yaml.tmpl", values))
    return written


def _values(name: str, event: str | None) -> dict[str, str]:
    """Return what the templates leave open."""
    service = name.replace("_", "-")
    names = {"folder": name, "service": service, "event": event or ""}
    if event is None:
        return names | {
            "kind": "http",
            "invoke": "http",
            "extras": "[http]",
            "summary": f"Serves /{service}.",
            "reach": "Reached through the gateway's routes and the broker, never at an address of its own.",
        }
    return names | {
        "kind": "event",
        "invoke": "cloudevent",
        "extras": "",
        "summary": f"Handles {event}.",
        "reach": "Reached by the broker only.",
    }


def _refuse_unusable(root: Path, name: str, event: str | None) -> None:
    from alphapulse.events import schemas  # noqa: PLC0415 - only this command needs the catalogue

    if not _NAME.fullmatch(name):
        raise CannotCreate(f"a function's name is lower case with underscores, was {name!r}")
    if (root / "functions" / name).exists():
        raise CannotCreate(f"functions/{name} exists already")
    if event is not None and event not in schemas.names():
        raise CannotCreate(f"there is no event {event!r}; there are: {', '.join(schemas.names())}")


def _write(path: Path, template: Traversable, values: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(template.read_text()).substitute(values))
    return path


def _append(path: Path, template: Traversable, values: dict[str, str]) -> Path:
    with path.open("a") as file:
        file.write(Template(template.read_text()).substitute(values))
    return path


def _list_in_base(path: Path, line: str) -> Path:
    """Add a resource beside the other functions', in alphabetical order."""
    lines = path.read_text().splitlines()
    functions = [index for index, text in enumerate(lines) if text.startswith("  - functions/")]
    position = next((index for index in functions if lines[index] > line), len(lines))
    lines.insert(position, line)
    path.write_text("\n".join(lines) + "\n")
    return path
