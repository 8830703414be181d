import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alphapulse_local import leftovers
from alphapulse_local.children import describe

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)",
]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(SLEEP, start_new_session=True)
    yield started
    started.kill()
    started.wait()


def record_of(directory: Path, process: subprocess.Popen[bytes]) -> leftovers.Record:
    leftovers.write(directory, name="trade", pid=process.pid, command="x", stop_signal=signal.SIGTERM)
    (record,) = leftovers.read(directory)
    return record


def test_recorded_process_is_stopped(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    told: list[leftovers.Record] = []
    record = record_of(tmp_path, process)

    leftovers.end([record], on_end=told.append)

    assert process.wait(5) == -signal.SIGTERM
    assert told == [record]


def test_later_process_with_the_same_id_is_spared(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    record = record_of(tmp_path, process)

    leftovers.end([replace(record, started_ticks=record.started_ticks - 1)])

    assert process.poll() is None


def test_process_that_ignores_the_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "GRACE_SECONDS", 0.1)
    with subprocess.Popen(DEAF, start_new_session=True, stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout is not None
        deaf.stdout.readline()

        leftovers.end([record_of(tmp_path, deaf)])

        assert deaf.wait(5) == -signal.SIGKILL


def test_gone_process_is_not_alive(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    record = record_of(tmp_path, process)
    process.kill()
    process.wait()

    assert not record.alive()
    assert leftovers.started_ticks(process.pid) is None


def test_unreadable_record_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text('{"name": "x"}')

    assert leftovers.read(tmp_path) == []


def test_forgotten_process_has_no_record(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    record_of(tmp_path, process)

    leftovers.forget(tmp_path, name="trade")

    assert leftovers.read(tmp_path) == []


@pytest.mark.parametrize("owner_offset", [0, 1], ids=["own", "of another platform"])
def test_keeper_stops_the_records_of_its_own_platform_only(
    tmp_path: Path, process: subprocess.Popen[bytes], owner_offset: int
) -> None:
    record_of(tmp_path, process)
    owner = str(os.getpid() + owner_offset)
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", leftovers.__file__, str(tmp_path), owner], stdin=subprocess.PIPE
    )
    assert keeper.poll() is None
    assert process.poll() is None

    assert keeper.stdin is not None
    keeper.stdin.close()

    assert keeper.wait(10) == 0
    assert (process.poll() is None) == bool(owner_offset)


@pytest.mark.parametrize(
    ("status", "text"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "killed by SIGKILL")]
)
def test_end_of_a_process_is_told_in_words(status: int, text: str) -> None:
    assert describe(status) == text
