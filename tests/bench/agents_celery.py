"""The peer of the agents' measurements: the technical signal as a Celery task.

A task reads the same bars from the same cache, has the same agent speak, and inserts one row; it is
acknowledged late. It knows no tenants, no runs and no consensus. The worker loads this module;
`python -m tests.bench.agents_celery TASKS SYMBOL...` sends. `CELERY_BROKER` is the Redis URL, `CELERY_DONE` a
directory of tallies, `CELERY_CACHE` the URL of the cache, `CELERY_DATABASE` that of the database.
"""

import asyncio
import datetime as dt
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from celery import Celery

from alphapulse.domain.agents.evidence import Bars, Evidence
from alphapulse.domain.agents.technical import speak
from alphapulse.domain.agents.technical_parameters import TechnicalParameters
from alphapulse.domain.instruments import Interval
from alphapulse.domain.series import price_series
from alphapulse.domain.signals import signal_document
from alphapulse.market.series import cached_series, read_series
from alphapulse.tenancy.cache import CacheConnection
from alphapulse.tenancy.platform_database import PlatformDatabase
from alphapulse.tenancy.tiers import CacheQuota
from tests.bench.broker_celery import Tally, tasks_done
from tests.bench.broker_processes import DEADLINE_SECONDS, ROOT, Bed

TABLE = "CREATE TABLE IF NOT EXISTS public.bench_signals (id bigserial PRIMARY KEY, document jsonb NOT NULL)"
PREFETCH = 32

app = Celery("bench-agents", broker=os.environ.get("CELERY_BROKER", "redis://"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@dataclass
class Connections:
    """What a worker process keeps open."""

    loop: asyncio.AbstractEventLoop
    database: asyncpg.Connection
    cache: CacheConnection


_TALLY = Tally()
_open: dict[int, Connections] = {}


@app.task(name="bench.technical")
def technical(symbol: str) -> None:
    """Make one signal."""
    if os.getpid() not in _open:
        loop = asyncio.new_event_loop()
        _open[os.getpid()] = loop.run_until_complete(_connect(loop))
    connections = _open[os.getpid()]
    connections.loop.run_until_complete(_make(connections, symbol))
    _TALLY.add()


async def _connect(loop: asyncio.AbstractEventLoop) -> Connections:
    quota = CacheQuota(bytes=2**30, alert_at=2**29)
    return Connections(
        loop,
        await asyncpg.connect(os.environ["CELERY_DATABASE"]),
        CacheConnection(os.environ["CELERY_CACHE"], quota_of=lambda _: quota),
    )


async def _make(connections: Connections, symbol: str) -> None:
    parameters = TechnicalParameters()
    series = await cached_series(
        connections.cache.market(), symbol, Interval.DAY, limit=parameters.window + 1
    )
    if series is None:
        raise RuntimeError(f"{symbol} is not in the cache")
    now = dt.datetime.now(dt.UTC)
    bars = Bars(price_series(series.closed(now).candles), Interval.DAY, series.source)
    spoken = speak(Evidence(symbol, Interval.DAY, now, bars=bars), parameters)
    await connections.database.execute(
        "INSERT INTO public.bench_signals (document) VALUES ($1::text::jsonb)",
        orjson.dumps(signal_document(spoken)).decode(),
    )


class CeleryAgentsBed(Bed):
    """A worker with two processes, over a Redis of its own and the stores of the measured platform."""

    def __init__(
        self, directory: Path, *, cache_url: str, database_url: str, symbols: tuple[str, ...]
    ) -> None:
        super().__init__(directory)
        self._done = directory / "done"
        self._symbols = symbols
        self._sent = 0
        self._environment = {
            "CELERY_BROKER": self.redis.url,
            "CELERY_DONE": str(self._done),
            "CELERY_CACHE": cache_url,
            "CELERY_DATABASE": database_url,
        }

    def open(self) -> None:
        """Start the worker and return when it has done something."""
        self._done.mkdir()
        command = ("celery", "-A", "tests.bench.agents_celery", "worker", "--pool", "prefork")
        options = ("--concurrency", "2", "--prefetch-multiplier", str(PREFETCH), "--loglevel", "warning")
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        self.start("worker", *command, *options, *quiet, **self._environment)
        self.rate(len(self._symbols) * 4)

    def rate(self, tasks: int) -> float:
        """Send tasks; return how many per second had run and were acknowledged."""
        self._sent += tasks
        sender = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.agents_celery", str(tasks), *self._symbols],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **self._environment},
            stdout=subprocess.PIPE,
        )
        output, _ = sender.communicate(timeout=DEADLINE_SECONDS)
        # The time of starting the sender is not Celery's.
        started = time.monotonic() - float(output)
        self.until(self._is_done, "worker")
        return tasks / (time.monotonic() - started)

    def _is_done(self) -> bool:
        return tasks_done(self._done) >= self._sent and not self.client.hlen("unacked")


async def prepare(*, admin_url: str, platform_url: str, cache_url: str, symbols: tuple[str, ...]) -> None:
    """Create the table of the peer, and put the bars of all symbols into the cache."""
    connection = await asyncpg.connect(admin_url)
    await connection.execute(TABLE)
    await connection.close()
    quota = CacheQuota(bytes=2**30, alert_at=2**29)
    cache, platform = (
        CacheConnection(cache_url, quota_of=lambda _: quota),
        PlatformDatabase(platform_url, application_name="bench"),
    )
    async with platform.session() as session:
        for symbol in symbols:
            await read_series(
                session, cache.market(), symbol, Interval.DAY, limit=TechnicalParameters().window
            )
    await platform.close()
    await cache.close()


def main(tasks: int, symbols: list[str]) -> None:
    """Send the tasks, one after another, over one connection."""
    started = time.monotonic()
    with app.connection_for_write() as connection, connection.Producer() as producer:
        for number in range(tasks):
            arguments: tuple[Any, ...] = (symbols[number % len(symbols)],)
            technical.apply_async(arguments, producer=producer)
    print(time.monotonic() - started)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
