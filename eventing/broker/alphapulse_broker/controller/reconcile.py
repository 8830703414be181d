"""Reconciliation: from what was observed to what is to be done. Pure, without I/O or a clock."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from alphapulse_broker.controller import statuses
from alphapulse_broker.controller.conditions import Condition, Finding, Status, status_patch, unknown
from alphapulse_broker.controller.manifests import (
    Key,
    Manifest,
    broker_of,
    is_deleting,
    is_held,
    is_ours,
    key,
)
from alphapulse_broker.controller.observation import BrokerState, Observation
from alphapulse_broker.controller.references import Target
from alphapulse_broker.controller.table_entries import (
    Contribution,
    broker_defaults,
    contribution,
    departure,
)
from alphapulse_broker.settings import Settings
from alphapulse_broker.triggers import TriggerTable

Kind = Literal["Broker", "Trigger"]


@dataclass(frozen=True)
class StatusChange:
    """A merge patch of one object's status."""

    kind: Kind
    manifest: Manifest
    patch: dict[str, Any]


@dataclass(frozen=True)
class Removal:
    """A trigger whose stream is to be removed, and the object to let go afterwards (if it goes)."""

    broker: Key
    trigger: str
    releases: Manifest | None


@dataclass
class Plan:
    """What is to be done.

    Parameters
    ----------
    claims
        Objects that get the finalizer, before a table names them.
    tables
        Per broker the table to be in force instead of another.
    statuses
        Changed statuses only.
    removals, closures
        Triggers and brokers whose keys go, now that no table in force names them.
    releases
        Objects that get rid of the finalizer for no further reason.
    is_settled
        Nothing is under way: the next look may wait for an event.
    standings
        Number of objects by broker, kind and their condition Ready.
    """

    claims: list[tuple[Kind, Manifest]] = field(default_factory=list)
    tables: dict[Key, TriggerTable] = field(default_factory=dict)
    statuses: list[StatusChange] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    closures: list[Manifest] = field(default_factory=list)
    releases: list[tuple[Kind, Manifest]] = field(default_factory=list)
    is_settled: bool = True
    standings: Counter[tuple[Key, Kind, Status]] = field(default_factory=Counter)


def reconcile(observation: Observation, settings: Settings) -> Plan:
    """Return what brings statuses and trigger tables to where the objects want them.

    Objects of other classes appear nowhere in the plan. A trigger enters a table only with the
    finalizer on it; applying `claims` and observing again gets it there.
    """
    plan = Plan()
    brokers = {key(broker): broker for broker in observation.brokers}
    for name, broker in brokers.items():
        if is_ours(broker):
            members = [it for it in observation.triggers if broker_of(it) == name]
            _Reconciliation(observation, settings, broker, plan).run(members)
        elif is_held(broker) and is_deleting(broker):
            plan.releases.append(("Broker", broker))
    for trigger in observation.triggers:
        found = brokers.get(broker_of(trigger))
        if is_held(trigger) and (found is None or not is_ours(found)):
            _orphan(trigger, found, observation, plan)
    return plan


class _Reconciliation:
    """One broker with its triggers."""

    def __init__(self, observation: Observation, settings: Settings, broker: Manifest, plan: Plan) -> None:
        self._observation = observation
        self._settings = settings
        self._broker = broker
        self._key = key(broker)
        self._state = observation.states.get(self._key, BrokerState(log_problem="it was not asked yet"))
        self._defaults = broker_defaults(broker, observation.referents)
        self._plan = plan

    def run(self, triggers: list[Manifest]) -> None:
        if not is_held(self._broker):
            self._plan.claims.append(("Broker", self._broker))
        unclaimed = [it for it in triggers if not is_held(it) and not self._leaves(it)]
        self._plan.claims += [("Trigger", it) for it in unclaimed]
        parts = [(it, self._contribution(it)) for it in triggers if is_held(it) or not self._leaves(it)]
        # A stored name that belongs to no object any more leaves with this table.
        entries = [part.entry for _, part in parts if part.entry is not None]
        wanted = TriggerTable(entries, closed=is_deleting(self._broker))
        self._table(wanted)
        ready = self._broker_status()
        for trigger, part in parts:
            self._trigger_status(trigger, part, ready=ready)
        self._departures(parts, wanted)

    def _leaves(self, trigger: Manifest) -> bool:
        return is_deleting(trigger) or is_deleting(self._broker)

    def _contribution(self, trigger: Manifest) -> Contribution:
        if not is_held(trigger):
            waits = unknown("NotClaimed", "The trigger enters the table once it carries the finalizer.")
            return Contribution(waits, Target(waits), Target(waits))
        if self._leaves(trigger):
            return departure(
                trigger,
                broker=self._broker,
                state=self._state,
                default_seconds=self._settings.drain_seconds,
                now=self._observation.now,
            )
        return contribution(
            trigger, defaults=self._defaults, state=self._state, referents=self._observation.referents
        )

    def _table(self, wanted: TriggerTable) -> None:
        if self._state.log_problem:
            self._plan.is_settled = False
            return
        # A broker that never had a table, or has none any more, needs none to be deleted.
        nothing_left = is_deleting(self._broker) and self._state.revision is None
        if self._state.revision != wanted.revision and not nothing_left:
            self._plan.tables[self._key] = wanted
            self._plan.is_settled = False

    def _broker_status(self) -> Finding:
        conditions = statuses.broker_conditions(self._broker, state=self._state, defaults=self._defaults)
        url = self._settings.broker_address(namespace=self._key.namespace, name=self._key.name)
        address = None if is_deleting(self._broker) else {"name": "http", "url": url}
        fields = {
            "address": address,
            "addresses": [address] if address else None,
            "deadLetterSinkUri": self._defaults.dead_letter_sink.url,
        }
        self._patch("Broker", self._broker, conditions, fields)
        return statuses.broker_ready(conditions, self._broker)

    def _trigger_status(self, trigger: Manifest, part: Contribution, *, ready: Finding) -> None:
        conditions = statuses.trigger_conditions(
            trigger,
            broker_ready=ready,
            given=part,
            subscription=statuses.subscription(key(trigger).name, part, self._state),
            referents=self._observation.referents,
        )
        fields = {"subscriberUri": part.subscriber.url, "deadLetterSinkUri": part.dead_letter_sink.url}
        self._patch("Trigger", trigger, conditions, fields)

    def _patch(
        self, kind: Kind, manifest: Manifest, conditions: list[Condition], fields: dict[str, Any]
    ) -> None:
        ready = conditions[-1].finding
        self._plan.standings[self._key, kind, ready.status] += 1
        if not ready.holds:
            self._plan.is_settled = False
        patch = status_patch(manifest, conditions=conditions, fields=fields, now=self._observation.now)
        if patch:
            self._plan.statuses.append(StatusChange(kind, manifest, patch))

    def _departures(self, parts: list[tuple[Manifest, Contribution]], wanted: TriggerTable) -> None:
        in_force = self._state.revision in (wanted.revision, None)
        if self._state.log_problem or not in_force:
            return
        for trigger, part in parts:
            if part.removed:
                releases = trigger if is_deleting(trigger) else None
                self._plan.removals.append(Removal(self._key, key(trigger).name, releases))
        if is_deleting(self._broker) and not wanted.triggers:
            self._plan.closures.append(self._broker)


def _orphan(trigger: Manifest, broker: Manifest | None, observation: Observation, plan: Plan) -> None:
    """A trigger that was ours and whose broker is gone, or is somebody else's now."""
    if is_deleting(trigger):
        plan.removals.append(Removal(broker_of(trigger), key(trigger).name, trigger))
        return
    if broker is not None:
        return
    finding = statuses.broker_missing(broker_of(trigger))
    nowhere = Target(unknown("BrokerDoesNotExist", "Not looked at without a broker."))
    conditions = statuses.trigger_conditions(
        trigger,
        broker_ready=finding,
        given=Contribution(finding, nowhere, nowhere),
        subscription=finding,
        referents=observation.referents,
    )
    fields = {"subscriberUri": None, "deadLetterSinkUri": None}
    patch = status_patch(trigger, conditions=conditions, fields=fields, now=observation.now)
    if patch:
        plan.statuses.append(StatusChange("Trigger", trigger, patch))
