"""The trigger table: Trigger and Broker manifests, read, checked and compiled."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alphapulse_broker.delivery import DeliverySpec, Destination
from alphapulse_broker.errors import InvalidManifest
from alphapulse_broker.filters import Predicate, compile_filter

API_VERSION = "eventing.knative.dev/v1"

Model = TypeVar("Model", bound=BaseModel)

_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class LegacyFilter(BaseModel):
    """`filter` of a Trigger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attributes: dict[str, str] = Field(default_factory=dict)


class TriggerSpec(BaseModel):
    """`spec` of a Trigger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker: str = "default"
    filter: LegacyFilter = LegacyFilter()
    filters: list[dict[str, Any]] = Field(default_factory=list)
    subscriber: Destination
    delivery: DeliverySpec = DeliverySpec()


class Trigger(BaseModel):
    """A trigger with the broker's delivery defaults worked in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
    spec: TriggerSpec

    def compiled(self) -> Predicate:
        """Return the predicate that says which events this trigger gets."""
        try:
            return compile_filter(self.spec.filters, self.spec.filter.attributes)
        except InvalidManifest as error:
            raise InvalidManifest(f"trigger {self.name}: {error}") from error


@dataclass(frozen=True)
class Resolver:
    """Turns a destination into a URL.

    `template` is used for references to a Service and may contain `{name}` and `{namespace}`.
    """

    template: str
    namespace: str

    def url(self, destination: Destination) -> str:
        """Return the destination's URL; a `uri` beside a `ref` is a path below it."""
        if destination.ref is None:
            return destination.uri or ""
        base = self.template.format(
            name=destination.ref.name, namespace=destination.ref.namespace or self.namespace
        )
        if not destination.uri:
            return base
        if urlsplit(destination.uri).scheme:
            return destination.uri
        # Appended and not resolved: on a laptop the Service itself is a path of the gateway.
        return f"{base.rstrip('/')}/{destination.uri.lstrip('/')}"


class TriggerTable:
    """All triggers of one broker and the revision that names exactly this content.

    Parameters
    ----------
    closed
        The broker is being deleted: what it has is delivered, and the ingress takes nothing more.
    """

    def __init__(self, triggers: Iterable[Trigger], *, closed: bool = False) -> None:
        self.closed = closed
        self.triggers = tuple(sorted(triggers, key=lambda trigger: trigger.name))
        self._compiled = [(trigger.name, trigger.compiled()) for trigger in self.triggers]
        self.by_name: Mapping[str, Trigger] = {trigger.name: trigger for trigger in self.triggers}
        if len(self.by_name) != len(self.triggers):
            names = [trigger.name for trigger in self.triggers]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InvalidManifest(f"trigger names must be unique; found twice: {', '.join(twice)}")
        self.revision = hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all triggers, sorted."""
        return tuple(trigger.name for trigger in self.triggers)

    def matching(self, attributes: Mapping[str, str]) -> list[str]:
        """Return the names of the triggers that want an event, each evaluated once."""
        return [name for name, wants in self._compiled if wants(attributes)]

    def to_json(self) -> str:
        """Return the table in the canonical form the revision is computed from."""
        triggers = [trigger.model_dump(mode="json", exclude_unset=True) for trigger in self.triggers]
        content = {"closed": True, "triggers": triggers} if self.closed else triggers
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> "TriggerTable":
        """Return the table that `to_json` described."""
        try:
            content = json.loads(text)
            closed = isinstance(content, dict)
            entries = content["triggers"] if closed else content
            return cls((Trigger.model_validate(entry) for entry in entries), closed=closed)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidManifest(f"the stored trigger table cannot be read: {error}") from error


def load(
    path: Path, *, broker: str = "default", namespace: str = "alphapulse", manifest: Path | None = None
) -> TriggerTable:
    """Read a directory of Trigger manifests (or one file) into a table.

    Parameters
    ----------
    path
        Directory whose `*.yaml` files hold Triggers, or one such file. Objects of other kinds, of
        other brokers and of other namespaces are passed over.
    manifest
        The Broker manifest with the default delivery; without one, `broker.yaml` in the directory or
        beside it is used when it is there.

    Raises
    ------
    InvalidManifest
        Naming file, object and field.
    """
    default = _broker_delivery(path, broker=broker, manifest=manifest)
    triggers: list[Trigger] = []
    for file, document in _documents(manifest_files(path)):
        if not _is(document, "Trigger", namespace):
            continue
        trigger = _trigger(file, document)
        if trigger.spec.broker == broker:
            _refuse_unusable_filter(file, trigger)
            delivery = trigger.spec.delivery.over(default)
            triggers.append(trigger.model_copy(update={"spec": _with_delivery(trigger.spec, delivery)}))
    return TriggerTable(triggers)


def manifest_files(path: Path) -> list[Path]:
    """Return the YAML files of a directory (or the one file), sorted."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InvalidManifest(f"there is no directory of triggers at {path}")
    return sorted(file for pattern in ("*.yaml", "*.yml") for file in path.glob(pattern))


def broker_file(path: Path, manifest: Path | None) -> Path | None:
    """Return the Broker manifest that belongs to a directory of triggers, if there is one."""
    if manifest is not None:
        return manifest
    directory = path if path.is_dir() else path.parent
    beside = [directory / "broker.yaml", directory.parent / "broker.yaml"]
    return next((file for file in beside if file.is_file()), None)


def _with_delivery(spec: TriggerSpec, delivery: DeliverySpec) -> TriggerSpec:
    return TriggerSpec(
        **{**{name: getattr(spec, name) for name in spec.model_fields_set}, "delivery": delivery}
    )


def _broker_delivery(path: Path, *, broker: str, manifest: Path | None) -> DeliverySpec:
    file = broker_file(path, manifest)
    if file is None:
        return DeliverySpec()
    for found, document in _documents([file]):
        if document.get("kind") == "Broker" and document.get("metadata", {}).get("name") == broker:
            spec = document.get("spec") or {}
            return _validated(found, f"broker {broker}", DeliverySpec, spec.get("delivery") or {})
    raise InvalidManifest(f"{file.name} holds no Broker named {broker}")


def _documents(files: Iterable[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in files:
        try:
            documents = list(yaml.load_all(file.read_text(), Loader=_LOADER))
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise InvalidManifest(f"{file.name}: {error}") from error
        yield from ((file, document) for document in documents if isinstance(document, dict))


def _is(document: Mapping[str, Any], kind: str, namespace: str) -> bool:
    if document.get("kind") != kind or document.get("apiVersion") != API_VERSION:
        return False
    found: object = (document.get("metadata") or {}).get("namespace", namespace)
    return found == namespace


def _trigger(file: Path, document: Mapping[str, Any]) -> Trigger:
    name = (document.get("metadata") or {}).get("name")
    content = {"name": name, "spec": document.get("spec") or {}}
    return _validated(file, f"trigger {name}", Trigger, content)


def _refuse_unusable_filter(file: Path, trigger: Trigger) -> None:
    # The table compiles it as well, and no longer knows the file.
    try:
        trigger.compiled()
    except InvalidManifest as error:
        raise InvalidManifest(f"{file.name}: {error}") from error


def _validated(file: Path, what: str, model: type[Model], content: object) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise InvalidManifest(f"{file.name}: {what}: {problems}") from error
