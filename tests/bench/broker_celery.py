"""The peer of the broker's measurements: a Celery task that does nothing, acknowledged after it has run.

The worker loads this module; `python -m tests.bench.broker_celery EVENTS` sends. `CELERY_BROKER` is the Redis
URL, `CELERY_DONE` a directory where each worker process writes how many tasks it has run.
"""

import os
import sys
import time
from pathlib import Path

from celery import Celery

from tests.bench.broker_events import attributes, data

app = Celery("bench", broker=os.environ.get("CELERY_BROKER", "redis://"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    task_compression=None,
)


class Tally:
    """Counts in a file of this process; one small write per task."""

    def __init__(self) -> None:
        self._process = 0
        self._file = -1
        self._count = 0

    def add(self) -> None:
        """Count one task."""
        if self._process != os.getpid():
            self._process, self._count = os.getpid(), 0
            folder = Path(os.environ["CELERY_DONE"])
            self._file = os.open(folder / str(self._process), os.O_WRONLY | os.O_CREAT, 0o600)
        self._count += 1
        os.pwrite(self._file, self._count.to_bytes(8, "little"), 0)


_TALLY = Tally()


@app.task(name="bench.accept")
def accept(event: dict[str, str], body: str) -> None:
    """Take one event."""
    _TALLY.add()


def tasks_done(folder: Path) -> int:
    """Return how many tasks all processes have run."""
    return sum(int.from_bytes(file.read_bytes(), "little") for file in folder.iterdir())


def main(events: int) -> None:
    """Send the events, one after another, over one connection."""
    body = data().decode()
    started = time.monotonic()
    with app.connection_for_write() as connection, connection.Producer() as producer:
        for number in range(events):
            accept.apply_async((attributes(number), body), producer=producer)
    print(time.monotonic() - started)


if __name__ == "__main__":
    main(int(sys.argv[1]))
