"""Destinations and references: which objects a manifest points at and the URLs they stand for."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from alphapulse_broker.controller.conditions import HOLDS, READY, Finding, false, unknown
from alphapulse_broker.controller.manifests import DEPENDENCY_ANNOTATION, Manifest, annotation, key, spec

NOT_CONFIGURED = Finding(
    "True", "DeadLetterSinkNotConfigured", "No dead letter sink; what cannot be delivered is parked."
)


class Reference(NamedTuple):
    """Names one object of any kind."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name} ({self.api_version})"


@dataclass(frozen=True)
class Referent:
    """What was found under a reference: where it takes events, and whether it is ready."""

    address: Finding
    url: str = ""
    ready: Finding = HOLDS


Referents = Mapping[Reference, Referent]


@dataclass(frozen=True)
class Target:
    """A destination resolved to a URL, or the reason why it is not."""

    finding: Finding
    url: str | None = None


def referent_of(reference: Reference, found: Manifest | None, *, cluster_domain: str) -> Referent:
    """Return what an object (None: there is none) means for those who refer to it."""
    if found is None:
        missing = false("NotFound", f"{reference} does not exist.")
        return Referent(missing, ready=missing)
    if (reference.api_version, reference.kind) == ("v1", "Service"):
        host = f"{reference.name}.{reference.namespace}.svc.{cluster_domain}"
        return Referent(HOLDS, url=f"http://{host}")
    stands = found.get("status") or {}
    url = (stands.get("address") or {}).get("url") or _first_url(stands.get("addresses") or ())
    address = HOLDS if url else false("NoAddress", f"{reference} has no address in its status yet.")
    return Referent(address, url=url, ready=_ready(reference, stands.get("conditions") or ()))


def unreadable(reference: Reference, reason: str) -> Referent:
    """Return what is known of an object that could not be read."""
    finding = unknown("ReferenceNotRead", f"{reference} could not be read: {reason}")
    return Referent(finding, ready=finding)


def references(brokers: Iterable[Manifest], triggers: Iterable[Manifest]) -> set[Reference]:
    """Return everything these objects refer to."""
    found: set[Reference] = set()
    for manifest in (*brokers, *triggers):
        namespace = key(manifest).namespace
        content = spec(manifest)
        delivery = content.get("delivery") or {}
        for destination in (content.get("subscriber"), delivery.get("deadLetterSink")):
            found.update(_referred((destination or {}).get("ref"), namespace))
        found.update(_referred(_dependency(manifest), namespace))
    return found


def resolve(destination: Manifest | None, *, namespace: str, referents: Referents) -> Target:
    """Return the URL of a destination, following the rules for `ref` and `uri` together."""
    if not destination or not (destination.get("ref") or destination.get("uri")):
        return Target(false("DestinationMissing", "The destination needs a ref or a uri."))
    for name in ("CACerts", "audience"):
        if destination.get(name):
            return Target(false("NotSupported", f"RedisBroker does not support {name} of a destination."))
    uri = str(destination.get("uri") or "")
    if not destination.get("ref"):
        return _absolute(uri)
    wanted = list(_referred(destination["ref"], namespace))
    if not wanted:
        return Target(false("ReferenceInvalid", "The ref needs apiVersion, kind and name."))
    return _relative(uri, _looked_up(wanted[0], referents))


def dependency(manifest: Manifest, referents: Referents) -> Finding:
    """Return whether the object an annotation makes this one depend on is ready."""
    if not annotation(manifest, DEPENDENCY_ANNOTATION):
        return HOLDS
    wanted = list(_referred(_dependency(manifest), key(manifest).namespace))
    if not wanted:
        message = f"Annotation {DEPENDENCY_ANNOTATION} must be a reference as JSON."
        return false("DependencyInvalid", message)
    referent = _looked_up(wanted[0], referents)
    if referent.ready.holds:
        return HOLDS
    return Finding(referent.ready.status, "DependencyNotReady", referent.ready.message)


def _absolute(uri: str) -> Target:
    if _is_url(uri):
        return Target(HOLDS, uri)
    return Target(false("URIInvalid", "A uri without a ref must be an absolute http or https URL."))


def _relative(uri: str, referent: Referent) -> Target:
    if not referent.address.holds:
        return Target(referent.address)
    try:
        absolute = bool(urlsplit(uri).scheme)
        joined = urljoin(referent.url, uri) if uri else referent.url
    except ValueError as error:
        return Target(false("URIInvalid", f"The uri {uri!r} is none: {error}."))
    if absolute:
        return Target(false("URIInvalid", f"A uri beside a ref must be relative, was {uri!r}."))
    if not _is_url(joined):
        return Target(false("URIInvalid", f"The address {joined!r} is no http or https URL."))
    return Target(HOLDS, joined)


def _is_url(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        # Parsing finds most faults, the port only when it is asked for.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _looked_up(reference: Reference, referents: Referents) -> Referent:
    return referents.get(reference) or unreadable(reference, "it was not looked up yet")


def _dependency(manifest: Manifest) -> object:
    try:
        return json.loads(annotation(manifest, DEPENDENCY_ANNOTATION) or "null")
    except (ValueError, RecursionError):
        return None


def _referred(ref: object, namespace: str) -> Iterator[Reference]:
    if isinstance(ref, Mapping) and all(ref.get(name) for name in ("apiVersion", "kind", "name")):
        where = ref.get("namespace") or namespace
        yield Reference(str(ref["apiVersion"]), str(ref["kind"]), str(where), str(ref["name"]))


def _first_url(addresses: Iterable[Mapping[str, Any]]) -> str:
    return next((str(address["url"]) for address in addresses if address.get("url")), "")


def _ready(reference: Reference, conditions: Iterable[Mapping[str, Any]]) -> Finding:
    for condition in conditions:
        if condition.get("type") == READY:
            if condition.get("status") == "True":
                return HOLDS
            why = condition.get("message") or condition.get("reason") or "no reason given"
            message = f"{reference} is not ready: {why}"
            return (
                false("NotReady", message)
                if condition.get("status") == "False"
                else unknown("NotReady", message)
            )
    return unknown("NotReady", f"{reference} has not said whether it is ready.")
