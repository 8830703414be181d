"""The Knative objects the laptop platform reads: the same files a cluster applies."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

WINDOW_ANNOTATION = "autoscaling.knative.dev/window"
DEFAULT_TIMEOUT_SECONDS = 300.0
DEFAULT_WINDOW_SECONDS = 60.0

_Read = TypeVar("_Read")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class ManifestError(ValueError):
    """A manifest cannot be used; the message names the file and what was found."""


@dataclass(frozen=True)
class Variable:
    """One entry of a container's `env`: a literal value, or a key of a Secret or ConfigMap."""

    name: str
    value: str | None = None
    secret: tuple[str, str] | None = None
    config_map: tuple[str, str] | None = None
    optional: bool = False


@dataclass(frozen=True)
class FunctionManifest:
    """What the platform needs to know of one Knative Service."""

    name: str
    path: Path
    variables: tuple[Variable, ...] = ()
    config_maps: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    secret_mounts: Mapping[str, str] = field(default_factory=dict)
    container_concurrency: int = 0
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    window_seconds: float = DEFAULT_WINDOW_SECONDS
    health_path: str = "/health"

    @property
    def folder(self) -> str:
        """Folder below `functions/`: the Service name with `_` for `-`."""
        return self.name.replace("-", "_")


@dataclass(frozen=True)
class Route:
    """One path match of an HTTPRoute and the function it leads to."""

    path: str
    exact: bool
    function: str

    def matches(self, path: str) -> bool:
        """Tell whether `path` is meant; a prefix ends at a segment boundary."""
        if self.exact or path == self.path:
            return path == self.path
        return path.startswith(self.path.rstrip("/") + "/")


@dataclass(frozen=True)
class Schedule:
    """One PingSource."""

    name: str
    namespace: str
    cron: str
    timezone: str
    data: str
    content_type: str
    extensions: Mapping[str, str]


@dataclass(frozen=True)
class Manifests:
    """Everything read from `knative/base` and `eventing`."""

    functions: Mapping[str, FunctionManifest]
    routes: tuple[Route, ...]
    schedules: tuple[Schedule, ...]
    config_maps: Mapping[str, Mapping[str, str]]

    def route(self, path: str) -> Route | None:
        """Return the route for a request path: an exact match first, then the longest prefix."""
        found = [route for route in self.routes if route.matches(path)]
        return max(found, key=lambda route: (route.exact, len(route.path)), default=None)


def load(root: Path) -> Manifests:
    """Read the manifests of a repository.

    Raises
    ------
    ManifestError
        A file is not valid YAML, lacks a field, or a route leads to no function.
    """
    functions = {
        manifest.name: manifest
        for path, document in documents(root / "knative/base/functions", kind="Service")
        for manifest in [_read(path, document, _function)]
    }
    routes = tuple(
        route
        for path, document in documents(root / "knative/base/gateway", kind="HTTPRoute")
        for route in _read(path, document, _routes)
    )
    for route in routes:
        if route.function not in functions:
            raise ManifestError(f"route {route.path} leads to {route.function}, which has no Service")
    return Manifests(
        functions=dict(sorted(functions.items())),
        routes=routes,
        schedules=tuple(
            _read(path, document, _schedule)
            for path, document in documents(root / "eventing/sources", kind="PingSource")
        ),
        config_maps={
            document["metadata"]["name"]: document.get("data") or {}
            for _, document in documents(root / "knative/base", kind="ConfigMap", recursive=False)
        },
    )


def documents(folder: Path, *, kind: str, recursive: bool = True) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield (file, object) for every object of `kind` below a folder, by file name."""
    for path in sorted(folder.glob("**/*.yaml" if recursive else "*.yaml")):
        try:
            loaded = list(yaml.safe_load_all(path.read_text()))
        except yaml.YAMLError as error:
            raise ManifestError(f"{path} is not valid YAML: {error}") from error
        for document in loaded:
            if isinstance(document, dict) and document.get("kind") == kind:
                yield path, document


def seconds(duration: str) -> float:
    """Return the seconds of a Go duration such as `1h2m30s`."""
    match = _DURATION.fullmatch(duration)
    if not duration or match is None:
        raise ValueError(f"expected a duration such as 60s, was {duration!r}")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + rest)


def _read(path: Path, document: dict[str, Any], reader: Callable[[Path, dict[str, Any]], _Read]) -> _Read:
    try:
        return reader(path, document)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        name = (document.get("metadata") or {}).get("name", "?")
        raise ManifestError(f"{path}: {document['kind']} {name}: {error!r}") from error


def _function(path: Path, document: dict[str, Any]) -> FunctionManifest:
    template = document["spec"]["template"]
    annotations = template.get("metadata", {}).get("annotations", {})
    spec = template["spec"]
    (container,) = spec["containers"]
    env_from = container.get("envFrom", [])
    window = annotations.get(WINDOW_ANNOTATION)
    return FunctionManifest(
        name=document["metadata"]["name"],
        path=path,
        variables=tuple(_variable(entry) for entry in container.get("env", [])),
        config_maps=tuple(entry["configMapRef"]["name"] for entry in env_from if "configMapRef" in entry),
        secrets=tuple(entry["secretRef"]["name"] for entry in env_from if "secretRef" in entry),
        secret_mounts=_secret_mounts(spec, container),
        container_concurrency=int(spec.get("containerConcurrency", 0)),
        timeout_seconds=float(spec.get("timeoutSeconds", DEFAULT_TIMEOUT_SECONDS)),
        window_seconds=seconds(window) if window else DEFAULT_WINDOW_SECONDS,
        health_path=container.get("livenessProbe", {}).get("httpGet", {}).get("path", "/health"),
    )


def _variable(entry: dict[str, Any]) -> Variable:
    source = entry.get("valueFrom")
    if source is None:
        return Variable(entry["name"], value=str(entry.get("value", "")))
    kind, reference = next(iter(source.items()))
    key = (reference["name"], reference["key"])
    optional = bool(reference.get("optional", False))
    if kind == "secretKeyRef":
        return Variable(entry["name"], secret=key, optional=optional)
    if kind == "configMapKeyRef":
        return Variable(entry["name"], config_map=key, optional=optional)
    raise ValueError(f"env {entry['name']}: {kind} has no meaning on a laptop")


def _secret_mounts(spec: dict[str, Any], container: dict[str, Any]) -> dict[str, str]:
    """Return mount path -> Secret name."""
    secrets = {
        volume["name"]: volume["secret"]["secretName"]
        for volume in spec.get("volumes", [])
        if "secret" in volume
    }
    return {
        mount["mountPath"]: secrets[mount["name"]]
        for mount in container.get("volumeMounts", [])
        if mount["name"] in secrets
    }


def _routes(_: Path, document: dict[str, Any]) -> list[Route]:
    return [
        Route(
            path=match["path"]["value"],
            exact=match["path"]["type"] == "Exact",
            function=_target(rule),
        )
        for rule in document["spec"]["rules"]
        for match in rule["matches"]
    ]


def _target(rule: dict[str, Any]) -> str:
    """Return the function behind a rule: the first label of the host it rewrites to."""
    for rule_filter in rule.get("filters", []):
        if rule_filter["type"] == "URLRewrite":
            return str(rule_filter["urlRewrite"]["hostname"]).partition(".")[0]
    raise ValueError("a rule without a URLRewrite filter names no function")


def _schedule(_: Path, document: dict[str, Any]) -> Schedule:
    spec = document["spec"]
    return Schedule(
        name=document["metadata"]["name"],
        namespace=document["metadata"].get("namespace", "default"),
        cron=spec["schedule"],
        timezone=spec.get("timezone", "UTC"),
        data=spec.get("data", ""),
        content_type=spec.get("contentType", "application/json"),
        extensions=spec.get("ceOverrides", {}).get("extensions", {}),
    )


def triggers_by_function(root: Path) -> dict[str, list[str]]:
    """Return function -> names of the triggers that lead to it."""
    found: dict[str, list[str]] = {}
    for _, document in documents(root / "eventing/triggers", kind="Trigger"):
        found.setdefault(document["spec"]["subscriber"]["ref"]["name"], []).append(
            document["metadata"]["name"]
        )
    return found
