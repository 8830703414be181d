"""Prometheus metrics of a function process.

The client library takes 70 ms to import, so the collectors are made on the first request, not at start.
"""

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Collectors(NamedTuple):
    """What every function counts."""

    requests: "Counter"
    latency: "Histogram"
    in_flight: "Gauge"
    events: "Counter"
    published: "Counter"
    pruned: "Counter"
    source_fetches: "Counter"
    shared_reads: "Counter"


@cache
def collectors() -> Collectors:
    """Return the process's collectors."""
    from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - see the module docstring

    return Collectors(
        requests=Counter("alphapulse_requests", "Answered HTTP requests", ["route", "method", "status"]),
        latency=Histogram(
            "alphapulse_request_seconds", "Time to answer", ["route", "method"], buckets=_LATENCY_BUCKETS
        ),
        in_flight=Gauge("alphapulse_requests_in_flight", "Requests being answered"),
        events=Counter("alphapulse_events", "Handled events", ["type", "outcome"]),
        published=Counter("alphapulse_events_published", "Events handed to the broker", ["outcome"]),
        pruned=Counter("alphapulse_rows_pruned", "Rows removed because their time was over", ["table"]),
        source_fetches=Counter(
            "alphapulse_source_fetches", "Questions to data sources", ["source", "dataset", "outcome"]
        ),
        shared_reads=Counter(
            "alphapulse_shared_reads", "Reads of data that all tenants share", ["dataset", "outcome"]
        ),
    )


class SourceCounts:
    """Counts questions to data sources, and reads of what they answered."""

    def fetched(self, source: str, dataset: str, outcome: str) -> None:
        """Count a question: `ok`, or how it failed."""
        collectors().source_fetches.labels(source, dataset, outcome).inc()

    def read(self, dataset: str, outcome: str) -> None:
        """Count a read: `hit`, `miss` or `waited`."""
        collectors().shared_reads.labels(dataset, outcome).inc()


def exposition() -> tuple[bytes, str]:
    """Return the metrics page and its media type."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415

    collectors()
    return generate_latest(), CONTENT_TYPE_LATEST
