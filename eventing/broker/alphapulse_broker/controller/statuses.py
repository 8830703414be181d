"""The conditions of Brokers and Triggers: what they say, given what was found."""

from alphapulse_broker.controller.conditions import Condition, Finding, false, unknown, with_ready
from alphapulse_broker.controller.manifests import Key, Manifest, is_deleting, key
from alphapulse_broker.controller.observation import BrokerState
from alphapulse_broker.controller.references import Referents, dependency
from alphapulse_broker.controller.table_entries import BrokerDefaults, Contribution
from alphapulse_broker.triggers import TriggerTable

_NO_IDENTITY = Finding(
    "True", "OIDCNotUsed", "RedisBroker sends no identity with its deliveries, so none is needed."
)


def broker_conditions(
    broker: Manifest, *, state: BrokerState, defaults: BrokerDefaults, wanted: TriggerTable
) -> list[Condition]:
    """Return all conditions of a Broker, Ready last."""
    leaving = is_deleting(broker)
    going = false("BeingDeleted", "The broker is being deleted; its triggers are drained.")
    return with_ready(
        [
            Condition("Addressable", going if leaving else Finding()),
            Condition("DeadLetterSinkResolved", defaults.dead_letter_sink.finding),
            Condition("EventPoliciesReady", state.policies),
            Condition("FilterReady", state.dispatcher),
            Condition("IngressReady", state.ingress),
            Condition("TriggerChannelReady", _channel(state, defaults, wanted)),
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


def subscription(given: Contribution, *, state: BrokerState, wanted: TriggerTable) -> Finding:
    """Return whether every event accepted from now on meets the trigger as its object asks."""
    if not given.subscription.holds:
        return given.subscription
    table = table_finding(state, wanted)
    return table if not table.holds else Finding()


def table_finding(state: BrokerState, wanted: TriggerTable) -> Finding:
    """Return whether the table in force is the one these objects ask for."""
    if state.log_problem:
        return unknown("LogUnavailable", f"The event log could not be asked: {state.log_problem}.")
    if state.revision != wanted.revision:
        message = f"Revision {wanted.revision} of the trigger table is not in force yet."
        return unknown("TableNotInForce", message)
    return Finding()


def broker_ready(conditions: list[Condition], broker: Manifest) -> Finding:
    """Return a broker's Ready as its triggers repeat it."""
    ready = conditions[-1].finding
    if ready.holds:
        return ready
    return Finding(ready.status, ready.reason, f"Broker {key(broker)}: {ready.message}")


def broker_missing(broker: Key) -> Finding:
    """Return what a trigger says whose broker is gone."""
    return false("BrokerDoesNotExist", f"There is no Broker {broker}.")


def _channel(state: BrokerState, defaults: BrokerDefaults, wanted: TriggerTable) -> Finding:
    if not defaults.finding.holds:
        return defaults.finding
    if state.log_problem:
        return false("LogUnavailable", f"The event log does not answer: {state.log_problem}.")
    return table_finding(state, wanted)
