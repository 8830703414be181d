"""What each Trigger object contributes to its broker's trigger table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from alphapulse_broker.controller.conditions import HOLDS, Finding, false, unknown
from alphapulse_broker.controller.manifests import (
    DRAIN_ANNOTATION,
    Manifest,
    annotation,
    deleted_at,
    is_deleting,
    key,
    spec,
)
from alphapulse_broker.controller.observation import BrokerState
from alphapulse_broker.controller.references import NOT_CONFIGURED, Referents, Target, resolve
from alphapulse_broker.delivery import DeliverySpec
from alphapulse_broker.durations import parse_duration
from alphapulse_broker.errors import InvalidManifest
from alphapulse_broker.triggers import Trigger

# A filter no event passes: a trigger that is being removed still delivers and gets nothing new.
_ANY_TYPE = {"exact": {"type": "none"}}
NOTHING = [{"all": [_ANY_TYPE, {"not": _ANY_TYPE}]}]


@dataclass(frozen=True)
class BrokerDefaults:
    """A broker's delivery defaults for its triggers, as far as they can be used."""

    finding: Finding
    dead_letter_sink: Target
    delivery: DeliverySpec


@dataclass(frozen=True)
class Contribution:
    """A trigger's part of the table, and why it is not what the object asks for (if it is not).

    Parameters
    ----------
    entry
        None: the trigger is not in the table.
    removed
        The trigger is to leave the log altogether, once a table without it is in force.
    """

    subscription: Finding
    subscriber: Target
    dead_letter_sink: Target
    entry: Trigger | None = None
    removed: bool = False


def broker_defaults(broker: Manifest, referents: Referents) -> BrokerDefaults:
    """Return the delivery defaults of a Broker."""
    raw = spec(broker).get("delivery") or {}
    sink = _dead_letter_sink(raw, broker, referents)
    try:
        delivery = DeliverySpec.model_validate(_with_sink(raw, sink))
    except ValidationError as error:
        return BrokerDefaults(
            false("DeliveryInvalid", f"spec.delivery: {_problems(error)}"), sink, DeliverySpec()
        )
    return BrokerDefaults(HOLDS, sink, delivery)


def contribution(
    trigger: Manifest, *, defaults: BrokerDefaults, state: BrokerState, referents: Referents
) -> Contribution:
    """Return what a trigger that stays contributes.

    What cannot be used (yet) leaves the entry in force as it is: events of a trigger that has
    worked are not lost because its specification or its subscriber is broken for a while.
    """
    content, namespace = spec(trigger), key(trigger).namespace
    raw = content.get("delivery") or {}
    subscriber = resolve(content.get("subscriber"), namespace=namespace, referents=referents)
    own_sink = bool(raw.get("deadLetterSink"))
    sink = _dead_letter_sink(raw, trigger, referents) if own_sink else defaults.dead_letter_sink
    kept = state.table.by_name.get(key(trigger).name) if state.table else None
    try:
        entry = _entry(trigger, subscriber=subscriber, sink=sink, defaults=defaults)
    except InvalidManifest as error:
        return Contribution(false("SpecInvalid", _staying(str(error), kept)), subscriber, sink, kept)
    if not defaults.finding.holds:
        reason = f"The broker's {defaults.finding.message}"
        return Contribution(false("BrokerDeliveryInvalid", _staying(reason, kept)), subscriber, sink, kept)
    for target in (subscriber, sink):
        if not target.finding.holds:
            reason = _staying(target.finding.message, kept)
            return Contribution(unknown("DestinationNotResolved", reason), subscriber, sink, kept)
    return Contribution(HOLDS, subscriber, sink, entry)


def departure(
    trigger: Manifest, *, broker: Manifest, state: BrokerState, default_seconds: float, now: datetime
) -> Contribution:
    """Return what a trigger that is being removed contributes: first a drain, then nothing."""
    name = key(trigger).name
    found = state.table.by_name.get(name) if state.table else None
    until = min(_deadline(it, default_seconds) for it in (trigger, broker) if is_deleting(it))
    nowhere = Target(unknown("Draining", "The trigger is being removed."))
    if found is None or (found.spec.filters == NOTHING and state.remaining.get(name) == 0) or now >= until:
        finding = false("Removed", "The trigger gets no events any more; its stream is being removed.")
        return Contribution(finding, nowhere, nowhere, removed=True)
    moment = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    message = f"No new events; those already stored are delivered until {moment} and parked after that."
    content = {**found.model_dump(exclude_unset=True)["spec"], "filters": NOTHING}
    entry = Trigger.model_validate({"name": name, "spec": content})
    return Contribution(false("Draining", message), nowhere, nowhere, entry)


def _deadline(manifest: Manifest, default_seconds: float) -> datetime:
    text = annotation(manifest, DRAIN_ANNOTATION)
    try:
        wait = parse_duration(text) if text else timedelta(seconds=default_seconds)
        return deleted_at(manifest) + wait
    except (ValueError, OverflowError):
        return deleted_at(manifest) + timedelta(seconds=default_seconds)


def _entry(trigger: Manifest, *, subscriber: Target, sink: Target, defaults: BrokerDefaults) -> Trigger:
    """Check a trigger and build its entry; destinations not resolved yet hold a place."""
    content = dict(spec(trigger))
    raw = content.get("delivery") or {}
    own = raw if raw.get("deadLetterSink") is None else _with_sink(raw, sink)
    content |= {"subscriber": {"uri": subscriber.url or "http://unresolved.invalid"}, "delivery": own}
    try:
        checked = Trigger.model_validate({"name": key(trigger).name, "spec": content})
    except ValidationError as error:
        raise InvalidManifest(_problems(error)) from error
    checked.compiled()
    merged = checked.spec.delivery.over(defaults.delivery).model_dump(exclude_unset=True)
    return Trigger.model_validate(
        {"name": checked.name, "spec": {**checked.spec.model_dump(exclude_unset=True), "delivery": merged}}
    )


def _dead_letter_sink(delivery: Mapping[str, Any], owner: Manifest, referents: Referents) -> Target:
    if not delivery.get("deadLetterSink"):
        return Target(NOT_CONFIGURED)
    return resolve(delivery["deadLetterSink"], namespace=key(owner).namespace, referents=referents)


def _with_sink(delivery: Mapping[str, Any], sink: Target) -> dict[str, Any]:
    rest = {name: value for name, value in delivery.items() if name != "deadLetterSink"}
    return {**rest, "deadLetterSink": {"uri": sink.url}} if sink.url else rest


def _staying(reason: str, kept: Trigger | None) -> str:
    if kept is None:
        return f"{reason} The trigger gets no events."
    return f"{reason} Until this is mended the trigger works as its last usable specification says."


def _problems(error: ValidationError) -> str:
    found = "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    )
    return f"{found}."
