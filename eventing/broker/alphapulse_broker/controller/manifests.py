"""What the controller reads of Kubernetes objects, which it keeps as the API server sends them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

Manifest = Mapping[str, Any]

BROKER_CLASS = "RedisBroker"
CLASS_ANNOTATION = "eventing.knative.dev/broker.class"
DEPENDENCY_ANNOTATION = "knative.dev/dependency"
DRAIN_ANNOTATION = "redisbroker.alphapulse.com/drain-deadline"
FINALIZER = "redisbroker.alphapulse.com/drain"


class Key(NamedTuple):
    """Names an object within its kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def key(manifest: Manifest) -> Key:
    """Return namespace and name."""
    metadata = manifest["metadata"]
    return Key(metadata["namespace"], metadata["name"])


def spec(manifest: Manifest) -> Manifest:
    """Return the specification, empty where there is none."""
    found: Manifest = manifest.get("spec") or {}
    return found


def status(manifest: Manifest) -> Manifest:
    """Return the status, empty where there is none."""
    found: Manifest = manifest.get("status") or {}
    return found


def annotation(manifest: Manifest, name: str) -> str:
    """Return an annotation, or an empty string."""
    return str((manifest["metadata"].get("annotations") or {}).get(name, ""))


def broker_of(trigger: Manifest) -> Key:
    """Return which Broker a Trigger names; both live in one namespace."""
    return Key(key(trigger).namespace, str(spec(trigger).get("broker", "")))


def is_deleting(manifest: Manifest) -> bool:
    """Tell whether somebody asked for the deletion of an object."""
    return bool(manifest["metadata"].get("deletionTimestamp"))


def deleted_at(manifest: Manifest) -> datetime:
    """Return when the deletion was asked for."""
    return datetime.fromisoformat(manifest["metadata"]["deletionTimestamp"])


def is_held(manifest: Manifest) -> bool:
    """Tell whether this controller's finalizer keeps the object."""
    return FINALIZER in (manifest["metadata"].get("finalizers") or ())


def is_ours(broker: Manifest) -> bool:
    """Tell whether a Broker is this controller's business."""
    ours = annotation(broker, CLASS_ANNOTATION) == BROKER_CLASS
    return ours and (is_held(broker) or not is_deleting(broker))
