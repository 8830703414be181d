"""Events of the broker's measurements, 1 KB of data each, and what is computed from their times."""

import statistics
from collections.abc import Sequence

# Monotonic nanoseconds at which the event was due to be sent: one clock for all processes of a machine.
SENT_HEADER = b"ce-sentns"
DATA_BYTES = 1024
TENANTS = 8
TYPE = "bench.happened"


def data() -> bytes:
    """Return the data of every event: JSON of exactly `DATA_BYTES`."""
    frame = b'{"filling":"%s"}'
    return frame % (b"x" * (DATA_BYTES - len(frame) + 2))


def attributes(number: int) -> dict[str, str]:
    """Return the context attributes of event `number`."""
    return {
        "specversion": "1.0",
        "id": f"{number:08d}-0000-7000-8000-000000000000",
        "source": "/bench/load",
        "type": TYPE,
        "tenantid": f"tenant-{number % TENANTS}",
        "time": "2025-01-01T00:00:00Z",
        "datacontenttype": "application/json",
    }


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and the longest, or nothing for less than two times."""
    if len(times) < 2:
        return {}
    return {
        "p50": statistics.median(times),
        "p99": statistics.quantiles(times, n=100)[98],
        "max": max(times),
    }
