"""Processes of the broker's measurements over a Redis of their own, with their processor time read off."""

import contextlib
import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import psutil
from redis import Redis

from alphapulse_local.embedded.process import free_port, spawn, stop, wait_until
from alphapulse_local.embedded.redis import EmbeddedRedis

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 60


class Bed:
    """Processes by name, below one directory; a context manager stops them all."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.redis = EmbeddedRedis(directory / "redis", password=uuid.uuid4().hex, port=free_port())
        self.client = Redis.from_url(self.redis.url)

    def __enter__(self) -> Self:
        try:
            self.redis.start()
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Start the other processes."""

    def close(self) -> None:
        """Stop everything that was started."""
        self.client.close()
        for process in reversed(self.running().values()):
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            stop(process)
            for child in children:
                # What a worker process that was stopped leaves behind.
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()

    def running(self) -> dict[str, subprocess.Popen[bytes]]:
        """Return every process by name; Redis is another one after a restart."""
        redis = self.redis.process
        return {**({"redis-server": redis} if redis is not None else {}), **self.processes}

    def start(self, name: str, *command: str, python: tuple[str, ...] = (), **environment: str) -> None:
        """Start `python -m <command>`; `python` are options before the `-m`."""
        self.processes[name] = spawn(
            [sys.executable, *python, "-m", *command],
            log=self.directory / f"{name}.log",
            environment={"PATH": os.environ["PATH"], **environment},
            cwd=ROOT,
        )

    def until(self, holds: Callable[[], bool], name: str) -> None:
        """Wait until `holds`, as long as process `name` lives."""
        log = self.directory / f"{name}.log"
        wait_until(holds, self.processes[name], log=log, name=name, timeout_seconds=DEADLINE_SECONDS)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time of each part, its child processes included."""
        return {name: _cpu_seconds(process.pid) for name, process in self.running().items()}

    def used(self, before: Mapping[str, float]) -> dict[str, float]:
        """Return the processor time of each part since `before`."""
        return {name: seconds - before[name] for name, seconds in self.cpu_seconds().items()}


def answers(port: int, path: str) -> bool:
    """Tell whether a server answers a GET with a success."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
            return bool(200 <= answer.status < 300)
    except OSError:
        return False


def _cpu_seconds(pid: int) -> float:
    process = psutil.Process(pid)
    times = [part.cpu_times() for part in (process, *process.children(recursive=True))]
    return sum(part.user + part.system for part in times)
