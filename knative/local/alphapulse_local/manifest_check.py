"""Check the Knative objects: against the API schemas, and for what a schema cannot say.

A cluster drops fields it does not know and accepts misspelt autoscaling annotations in silence, so
both are looked for here.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema
import yaml
from croniter import croniter  # type: ignore[import-untyped]  # has no stubs

from alphapulse_local.console import Console
from alphapulse_local.manifests import Manifests, documents, load, seconds

SCHEMA_DIRECTORY = "shared/schemas"

_FOLDERS = ("knative/base", "eventing")
# Prometheus's and Grafana's own formats, which no API server takes.
_RULES_FOLDER = "dashboards"
_AUTOSCALING = "autoscaling.knative.dev/"
_ANNOTATIONS = {"min-scale", "max-scale", "initial-scale", "metric", "target", "window", "class"} | {
    "target-utilization-percentage",
    "scale-down-delay",
    "scale-to-zero-pod-retention-period",
}
_DURATION = re.compile(r"PT(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?")
_MAX_CONCURRENCY = 1000
_MAX_TIMEOUT_SECONDS = 600
_WINDOW_SECONDS = (6, 3600)
_REFUSED_VARIABLES = {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}


def check(root: Path, schemas: Path | None) -> int:
    """Print what is wrong and return the exit status."""
    console = Console()
    schemas = schemas or root.parent / SCHEMA_DIRECTORY
    problems = [*cross_problems(root), *object_problems(root)]
    if schemas.is_dir():
        problems += schema_problems(root, schemas)
    else:
        console.warn(f"no API schemas in {schemas} (choose: --schemas): only the cross-checks ran")
    for problem in problems:
        console.warn(problem)
    count = sum(1 for _ in objects(root))
    console.note(f"{count} objects checked, {len(problems)} problems")
    return 1 if problems else 0


def objects(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield (file, object) for every object of the base and of eventing."""
    for folder in _FOLDERS:
        for path in sorted((root / folder).glob("**/*.yaml")):
            if _RULES_FOLDER in path.parts:
                continue
            for document in yaml.safe_load_all(path.read_text()):
                if document is not None:
                    yield path, document


def schema_problems(root: Path, schemas: Path) -> Iterator[str]:
    """Yield where an object differs from its API schema, unknown fields included."""
    for path, document in objects(root):
        group, _, version = document["apiVersion"].partition("/")
        name = f"{document['kind'].lower()}-{group.partition('.')[0]}-{version}.json"
        if not group.endswith("knative.dev") or not (schemas / name).exists():
            continue
        schema, validate = _schema(schemas / name)
        where = f"{path.relative_to(root)}: {document['kind']} {document['metadata']['name']}"
        try:
            validate(document)
        except fastjsonschema.JsonSchemaValueException as error:
            yield f"{where}: {error.message}"
        for field in _unknown(schema, {k: v for k, v in document.items() if k in schema["properties"]}):
            yield f"{where}: unknown field {field}"


def object_problems(root: Path) -> Iterator[str]:
    """Yield what Knative's webhooks would refuse and what it would silently ignore."""
    rules = {"Service": _service_problems, "Trigger": _trigger_problems, "PingSource": _source_problems}
    for path, document in objects(root):
        rule = rules.get(document["kind"])
        if rule is not None and "knative.dev" in document["apiVersion"]:
            for problem in rule(document):
                name = document["metadata"]["name"]
                yield f"{path.relative_to(root)}: {document['kind']} {name}: {problem}"


def cross_problems(root: Path) -> Iterator[str]:
    """Yield references that lead nowhere: folders, Services, subscribers, schedules."""
    manifests: Manifests = load(root)
    folders = {path.parent.name for path in (root / "functions").glob("*/app.py")}
    services = {function.folder for function in manifests.functions.values()}
    yield from (f"functions/{folder} has no Service" for folder in sorted(folders - services))
    yield from (f"Service {name} has no folder in functions" for name in sorted(services - folders))
    triggers = [document for _, document in documents(root / "eventing/triggers", kind="Trigger")]
    for trigger in triggers:
        subscriber = trigger["spec"]["subscriber"]["ref"]["name"]
        if subscriber not in manifests.functions:
            yield f"Trigger {trigger['metadata']['name']}: there is no Service {subscriber}"
    for schedule in manifests.schedules:
        wanted = schedule.extensions.get("schedule")
        if not any(_mentions(trigger["spec"], wanted) for trigger in triggers):
            yield f"PingSource {schedule.name}: no trigger filters on schedule {wanted}"


@cache
def _schema(path: Path) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    """Return an API schema and its compiled form."""
    schema = json.loads(path.read_text())["openAPIV3Schema"]
    return schema, fastjsonschema.compile(schema)


def _service_problems(document: dict[str, Any]) -> Iterator[str]:
    template = document["spec"]["template"]
    annotations = template["metadata"].get("annotations", {})
    for name in document["metadata"].get("annotations", {}):
        if name.startswith(_AUTOSCALING):
            yield f"{name} belongs under spec.template.metadata"
    for name in annotations:
        if name.startswith(_AUTOSCALING) and name.removeprefix(_AUTOSCALING) not in _ANNOTATIONS:
            yield f"unknown annotation {name}"
    window = annotations.get(_AUTOSCALING + "window")
    if window is not None and not _WINDOW_SECONDS[0] <= seconds(window) <= _WINDOW_SECONDS[1]:
        yield f"window must be between 6s and 1h, was {window}"
    spec = template["spec"]
    if spec.get("containerConcurrency", 0) > _MAX_CONCURRENCY:
        yield f"containerConcurrency is at most {_MAX_CONCURRENCY}"
    if spec.get("timeoutSeconds", 0) > _MAX_TIMEOUT_SECONDS:
        yield f"timeoutSeconds is at most {_MAX_TIMEOUT_SECONDS}"
    for container in spec["containers"]:
        yield from _container_problems(container)


def _container_problems(container: dict[str, Any]) -> Iterator[str]:
    for variable in container.get("env", []):
        if variable["name"] in _REFUSED_VARIABLES:
            yield f"{variable['name']} is set by Knative"
    image = container["image"]
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in {"", "latest"}:
        yield f"image {image} is not pinned"
    security = container.get("securityContext", {})
    restricted = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "readOnlyRootFilesystem": True}
    for name, wanted in restricted.items():
        if security.get(name) is not wanted:
            yield f"securityContext.{name} must be {str(wanted).lower()}"
    if security.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "all capabilities must be dropped"


def _trigger_problems(document: dict[str, Any]) -> Iterator[str]:
    spec = document["spec"]
    if not spec.get("broker"):
        yield "spec.broker is missing"
    if "filter" in spec and "filters" in spec:
        yield "filter is ignored beside filters"
    delivery = spec.get("delivery", {})
    for name in ("retry", "backoffPolicy", "backoffDelay", "timeout"):
        if name not in delivery:
            yield f"delivery.{name} is missing"
    for name in ("backoffDelay", "timeout", "retryAfterMax"):
        if not _DURATION.fullmatch(delivery.get(name, "PT1S")):
            yield f"delivery.{name} is no ISO 8601 duration: {delivery[name]}"


def _source_problems(document: dict[str, Any]) -> Iterator[str]:
    cron = document["spec"]["schedule"]
    if not croniter.is_valid(cron):
        yield f"schedule is no cron expression: {cron}"


def _unknown(schema: Any, value: Any, path: str = "") -> Iterator[str]:
    """Yield fields a structural schema does not have."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(schema.get("items", {}), item, f"{path}[{index}]")
        return
    properties = schema.get("properties")
    if not isinstance(value, dict) or properties is None:
        return
    for name, item in value.items():
        if name in properties:
            yield from _unknown(properties[name], item, f"{path}.{name}")
        elif not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}".lstrip(".")


def _mentions(node: Any, text: str | None) -> bool:
    if isinstance(node, dict):
        return any(_mentions(value, text) for value in node.values())
    if isinstance(node, list):
        return any(_mentions(value, text) for value in node)
    return bool(node == text)
