"""The conditions of Brokers and Triggers: what they say, given what was found."""

from typing import Any

from alphapulse_broker.controller.conditions import HOLDS, Condition, Finding, false, unknown, with_ready
from alphapulse_broker.controller.manifests import Key, Manifest, is_deleting, key
from alphapulse_broker.controller.observation import BrokerState
from alphapulse_broker.controller.references import Referents, dependency
from alphapulse_broker.controller.table_entries import BrokerDefaults, Contribution
from alphapulse_broker.triggers import Trigger

_NO_IDENTITY = Finding(
    "True", "OIDCNotUsed", "RedisBroker sends no identity with its deliveries, so none is needed."
)


def broker_conditions(broker: Manifest, *, state: BrokerState, defaults: BrokerDefaults) -> list[Condition]:
    """Return all conditions of a Broker, Ready last."""
    leaving = is_deleting(broker)
    going = false("BeingDeleted", "The broker is being deleted; its triggers are drained.")
    return with_ready(
        [
            Condition("Addressable", going if leaving else HOLDS),
            Condition("DeadLetterSinkResolved", defaults.dead_letter_sink.finding),
            Condition("EventPoliciesReady", state.policies),
            Condition("FilterReady", state.dispatcher),
            Condition("IngressReady", state.ingress),
            Condition("TriggerChannelReady", _channel(state, defaults)),
        ]
    )


def trigger_conditions(
    trigger: Manifest,
    *,
    broker_ready: Finding,
    given: Contribution,
    subscription: Finding,
    referents: Referents,
) -> list[Condition]:
    """Return all conditions of a Trigger, Ready last."""
    return with_ready(
        [
            Condition("BrokerReady", broker_ready),
            Condition("DeadLetterSinkResolved", given.dead_letter_sink.finding),
            Condition("DependencyReady", dependency(trigger, referents)),
            Condition("OIDCIdentityCreated", _NO_IDENTITY),
            Condition("SubscriberResolved", given.subscriber.finding),
            Condition("SubscriptionReady", subscription),
        ]
    )


def subscription(name: str, given: Contribution, state: BrokerState) -> Finding:
    """Return whether every event accepted from now on meets the trigger as its object asks.

    It does when the table in force has this very entry, whatever becomes of other triggers.
    """
    if not given.subscription.holds:
        return given.subscription
    if state.log_problem:
        return unknown("LogUnavailable", f"The event log could not be asked: {state.log_problem}.")
    found = state.table.by_name.get(name) if state.table else None
    if found is None or given.entry is None or _content(found) != _content(given.entry):
        return unknown(
            "TableNotInForce", "The trigger table in force does not have this trigger as it is yet."
        )
    return HOLDS


def broker_ready(conditions: list[Condition], broker: Manifest) -> Finding:
    """Return a broker's Ready as its triggers repeat it."""
    ready = conditions[-1].finding
    if ready.holds:
        return ready
    return Finding(ready.status, ready.reason, f"Broker {key(broker)}: {ready.message}")


def broker_missing(broker: Key) -> Finding:
    """Return what a trigger says whose broker is gone."""
    return false("BrokerDoesNotExist", f"There is no Broker {broker}.")


def _channel(state: BrokerState, defaults: BrokerDefaults) -> Finding:
    if not defaults.finding.holds:
        return defaults.finding
    if state.log_problem:
        return false("LogUnavailable", f"The event log does not answer: {state.log_problem}.")
    if state.revision is None:
        return unknown("NoTableInForce", "No trigger table is in force yet.")
    return HOLDS


def _content(entry: Trigger) -> dict[str, Any]:
    return entry.model_dump(exclude_unset=True)
