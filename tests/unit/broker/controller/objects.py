"""Brokers, triggers and what is around them, as the API server would list them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from alphapulse_broker.controller.conditions import Finding
from alphapulse_broker.controller.manifests import CLASS_ANNOTATION, FINALIZER, Key
from alphapulse_broker.controller.observation import BrokerState, Observation
from alphapulse_broker.controller.reconcile import Plan, StatusChange, reconcile
from alphapulse_broker.controller.references import Reference, Referent, referent_of
from alphapulse_broker.settings import Settings
from alphapulse_broker.triggers import TriggerTable

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BEFORE = "2026-02-01T00:00:00Z"
KSERVICE = {"apiVersion": "serving.knative.dev/v1", "kind": "Service"}
SETTINGS = Settings(redis_url=SecretStr("redis://127.0.0.1:1/0"), drain_seconds=600)

Object = dict[str, Any]


def metadata(name: str, namespace: str, **extra: Any) -> Object:
    held = {"finalizers": [FINALIZER], "resourceVersion": "7", "generation": 1}
    return {"name": name, "namespace": namespace, **held, **extra}


def broker(
    name: str = "default",
    namespace: str = "n1",
    *,
    broker_class: str = "RedisBroker",
    delivery: Object | None = None,
    **extra: Any,
) -> Object:
    annotations = {CLASS_ANNOTATION: broker_class, **extra.pop("annotations", {})}
    return {
        "metadata": metadata(name, namespace, annotations=annotations, **extra),
        "spec": {"delivery": delivery} if delivery else {},
    }


def trigger(name: str = "t", namespace: str = "n1", *, spec: Object | None = None, **extra: Any) -> Object:
    content = {"broker": "default", "subscriber": {"uri": f"http://{name}.example"}, **(spec or {})}
    return {"metadata": metadata(name, namespace, **extra), "spec": content}


def kservice(name: str, namespace: str = "n1", *, url: str = "", ready: str = "True") -> Object:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "status": {
            "address": {"url": url} if url else {},
            "conditions": [{"type": "Ready", "status": ready, "message": "RevisionFailed"}],
        },
    }


def found(reference: Reference, manifest: Object | None) -> Referent:
    return referent_of(reference, manifest, cluster_domain="cluster.local")


@dataclass
class World:
    """Objects and data plane; `settle` publishes and writes statuses as the shell does."""

    brokers: list[Object] = field(default_factory=lambda: [broker()])
    triggers: list[Object] = field(default_factory=list)
    referents: dict[Reference, Referent] = field(default_factory=dict)
    states: dict[Key, BrokerState] = field(default_factory=dict)
    now: datetime = NOW

    def plan(self) -> Plan:
        states = {Key(it["metadata"]["namespace"], it["metadata"]["name"]): HEALTHY for it in self.brokers}
        observation = Observation(
            brokers=tuple(self.brokers),
            triggers=tuple(self.triggers),
            referents=self.referents,
            states=states | self.states,
            now=self.now,
        )
        return reconcile(observation, SETTINGS)

    def settle(self) -> Plan:
        """Publish until nothing is to be published, write the statuses; return the last plan."""
        plan = self.plan()
        while plan.tables:
            for name, table in plan.tables.items():
                self.in_force(name, table)
            plan = self.plan()
        for change in plan.statuses:
            self._write(change)
        return plan

    def in_force(self, name: Key, table: TriggerTable, *, remaining: Mapping[str, int] | None = None) -> None:
        state = self.states.get(name, HEALTHY)
        left = dict(state.remaining) if remaining is None else dict(remaining)
        self.states[name] = replace(state, revision=table.revision, table=table, remaining=left)

    def state(self, **changes: Any) -> None:
        """Change what the data plane of n1/default shows."""
        name = Key("n1", "default")
        self.states[name] = replace(self.states.get(name, HEALTHY), **changes)

    def _write(self, change: StatusChange) -> None:
        objects = self.brokers if change.kind == "Broker" else self.triggers
        (place,) = (n for n, it in enumerate(objects) if it["metadata"] is change.manifest["metadata"])
        status = {**objects[place].get("status", {}), **change.patch}
        kept = {name: value for name, value in status.items() if value is not None}
        objects[place] = {**objects[place], "status": kept}


HEALTHY = BrokerState(
    ingress=Finding(), dispatcher=Finding(), policies=Finding("True", "NoEventPolicies", "None.")
)


def conditions(manifest: Object) -> dict[str, Object]:
    return {entry["type"]: entry for entry in manifest["status"]["conditions"]}


def standing(manifest: Object, condition: str) -> tuple[str, str]:
    entry = conditions(manifest)[condition]
    return entry["status"], entry.get("reason", "")


def names(tables: Mapping[Key, TriggerTable]) -> dict[str, list[str]]:
    return {str(name): list(table.names) for name, table in tables.items()}


def matching(table: TriggerTable | None, attributes: Mapping[str, str]) -> Iterable[str]:
    assert table is not None
    return table.matching(attributes)
