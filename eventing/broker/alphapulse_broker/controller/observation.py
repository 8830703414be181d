"""Everything a reconciliation looks at, as values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alphapulse_broker.controller.conditions import Finding, false, unknown
from alphapulse_broker.controller.manifests import Key, Manifest, key, spec
from alphapulse_broker.controller.references import Referents
from alphapulse_broker.triggers import TriggerTable

_NOT_LOOKED_AT = unknown("NotObserved", "Not looked at yet.")


@dataclass(frozen=True)
class BrokerState:
    """What one broker's data plane shows.

    Parameters
    ----------
    log_problem
        Why Redis could not be asked; the fields about the log mean nothing then.
    revision, table
        The table in force; `table` is None too when this version cannot read it.
    remaining
        Entries not yet delivered or parked, of triggers that are being removed.
    """

    log_problem: str = ""
    revision: str | None = None
    table: TriggerTable | None = None
    remaining: Mapping[str, int] = field(default_factory=dict)
    ingress: Finding = _NOT_LOOKED_AT
    dispatcher: Finding = _NOT_LOOKED_AT
    policies: Finding = _NOT_LOOKED_AT


@dataclass(frozen=True)
class Observation:
    """One look at the cluster and at the logs; the lists of objects are complete."""

    brokers: tuple[Manifest, ...]
    triggers: tuple[Manifest, ...]
    referents: Referents
    states: Mapping[Key, BrokerState]
    now: datetime


def endpoints_finding(service: str, slices: Iterable[Manifest]) -> Finding:
    """Return whether a Service has an endpoint that passes its readiness probe."""
    slices = list(slices)
    if not slices:
        return false("ServiceNotFound", f"There is no Service {service}, or it selects no pod.")
    endpoints = [entry for found in slices for entry in found.get("endpoints") or ()]
    # A missing `ready` means ready: that is how EndpointSlices say it.
    if any((entry.get("conditions") or {}).get("ready", True) is not False for entry in endpoints):
        return Finding()
    return false("NoReadyPod", f"Service {service} has {len(endpoints)} pods, none of them ready.")


def policies_finding(broker: Manifest, policies: Iterable[Manifest]) -> Finding:
    """Return whether nobody expects this broker to refuse events by an EventPolicy."""
    names = sorted(key(policy).name for policy in policies if _covers(policy, broker))
    if names:
        message = f"RedisBroker does not enforce EventPolicies; these cover it: {', '.join(names)}."
        return false("EventPoliciesNotSupported", message)
    return Finding("True", "NoEventPolicies", "No EventPolicy covers this broker: everyone may send events.")


def _covers(policy: Manifest, broker: Manifest) -> bool:
    targets = spec(policy).get("to") or ()
    return not targets or any(_names(target, broker) for target in targets)


def _names(target: Mapping[str, Any], broker: Manifest) -> bool:
    ref = target.get("ref") or target.get("selector") or {}
    if ref.get("kind") != "Broker":
        return False
    labels: Mapping[str, str] = ref.get("matchLabels") or {}
    has = broker["metadata"].get("labels") or {}
    # Expressions are not evaluated: a policy that may cover the broker counts as one that does.
    return ref.get("name", key(broker).name) == key(broker).name and labels.items() <= has.items()
