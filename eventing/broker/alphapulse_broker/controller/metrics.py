"""Prometheus metrics of the controller."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from alphapulse_broker.controller.conditions import Status
from alphapulse_broker.controller.manifests import Key
from alphapulse_broker.controller.reconcile import Kind

_TURN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

Standing = tuple[Key, Kind, Status]


class ControllerMetrics:
    """Says whether the controller takes its turns, what fails, and how the objects stand.

    Labels name brokers (`<namespace>/<name>`) and kinds, never a trigger: statuses say which.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.turns = Counter(
            "redisbroker_controller_turns",
            "Reconciliations: settled, unsettled (something is under way), failed (nothing could be read)",
            ("outcome",),
            registry=self.registry,
        )
        self.failures = Counter(
            "redisbroker_controller_failures",
            "Steps of a reconciliation that failed and are tried again",
            ("step",),
            registry=self.registry,
        )
        self.turn_seconds = Histogram(
            "redisbroker_controller_turn_seconds",
            "Time of one reconciliation",
            registry=self.registry,
            buckets=_TURN_BUCKETS,
        )
        self.last_turn = Gauge(
            "redisbroker_controller_last_turn_timestamp_seconds",
            "When a reconciliation last could read the cluster",
            registry=self.registry,
        )
        self.objects = Gauge(
            "redisbroker_controller_objects",
            "Brokers and Triggers by their condition Ready",
            ("broker", "kind", "ready"),
            registry=self.registry,
        )
        self.generation = Gauge(
            "redisbroker_controller_table_generation",
            "Number of changes of the trigger table in force",
            ("broker",),
            registry=self.registry,
        )
        self.log_up = Gauge(
            "redisbroker_controller_log_up", "1 when Redis answers", ("broker",), registry=self.registry
        )

    def stand(self, standings: Mapping[Standing, int]) -> None:
        """Say how many objects are Ready and how many are not."""
        self.objects.clear()
        for (broker, kind, ready), count in standings.items():
            self.objects.labels(str(broker), kind, ready).set(count)

    def measure(self, generations: Mapping[Key, int | None]) -> None:
        """Say which change of its table each broker has; None where Redis did not answer."""
        self.log_up.clear()
        self.generation.clear()
        for broker, generation in generations.items():
            self.log_up.labels(str(broker)).set(generation is not None)
            if generation is not None:
                self.generation.labels(str(broker)).set(generation)

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)
