"""Prometheus metrics of the broker, in one registry per process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Counts what happened to events; labels are trigger names and reasons, never tenants or ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = self._counter("accepted", "Events accepted by the ingress")
        self.refused = self._counter("refused", "Events refused by the ingress", "status")
        self.enqueued = self._counter("enqueued", "Entries stored, by trigger", "trigger")
        self.ingress_seconds = self._histogram("ingress_seconds", "Time to the answer of the ingress")
        self.delivered = self._counter("delivered", "Entries a sink accepted", "trigger", "kind")
        self.replies = self._counter("replies", "Replies stored", "trigger")
        self.retried = self._counter("retried", "Attempts that will be repeated", "trigger", "kind")
        self.dead_lettered = self._counter("dead_lettered", "Events turned into dead letters", "trigger")
        self.parked = self._counter("parked", "Entries put aside", "trigger", "reason")
        self.reclaimed = self._counter("reclaimed", "Entries taken over from silent dispatchers", "trigger")
        self.promoted = self._counter("promoted", "Retries that became due")
        self.end_to_end_seconds = self._histogram(
            "end_to_end_seconds", "Time from acceptance to delivery", "trigger"
        )
        self.attempt_seconds = self._histogram("attempt_seconds", "Time of one attempt", "trigger")
        self.depth = Gauge(
            "redisbroker_entries", "Entries by state", ("trigger", "state"), registry=self.registry
        )
        self.oldest_seconds = Gauge(
            "redisbroker_oldest_seconds",
            "Age of the first entry that waits or is in flight",
            ("trigger",),
            registry=self.registry,
        )
        self.log_memory = Gauge(
            "redisbroker_log_memory_bytes", "Memory that Redis uses", registry=self.registry
        )
        self.log_max_memory = Gauge(
            "redisbroker_log_max_memory_bytes", "maxmemory of Redis, 0 when unbounded", registry=self.registry
        )
        self.log_up = Gauge("redisbroker_log_up", "1 when Redis answers", registry=self.registry)

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"redisbroker_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(
            f"redisbroker_{name}", text, labels, registry=self.registry, buckets=_LATENCY_BUCKETS
        )
