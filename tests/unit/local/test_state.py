import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from alphapulse_local.children import rotate
from alphapulse_local.state import AlreadyRunning, StateDirectory, new_signing_key


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    directory = StateDirectory(tmp_path / "state")
    directory.create()
    return directory


def test_directories_are_private(state: StateDirectory) -> None:
    for directory in (state.path, state.logs, state.run, state.secrets):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_secret_is_made_once_and_kept_private(state: StateDirectory) -> None:
    first = state.secret("redis")

    assert state.secret("redis") == first
    assert len(first) >= 40
    assert state.secret("other") != first
    assert stat.S_IMODE((state.secrets / "redis").stat().st_mode) == 0o600


def test_secret_is_private_whatever_the_umask(state: StateDirectory) -> None:
    before = os.umask(0)
    try:
        state.secret("key/key.pem", make=lambda: "text")
    finally:
        os.umask(before)

    assert stat.S_IMODE((state.secrets / "key/key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((state.secrets / "key").stat().st_mode) == 0o700


def test_signing_key_is_for_es256() -> None:
    key = load_pem_private_key(new_signing_key().encode(), password=None)

    assert isinstance(key, EllipticCurvePrivateKey)
    assert isinstance(key.curve, SECP256R1)


def test_second_holder_of_the_directory_is_refused_and_told_where_the_first_answers(
    state: StateDirectory,
) -> None:
    state.lock()
    state.announce({"pid": 42, "url": "http://127.0.0.1:1"})

    with pytest.raises(AlreadyRunning, match=r"process 42, http://127.0.0.1:1"):
        StateDirectory(state.path).lock()


def test_announcement_of_a_platform_that_is_gone_is_not_believed(state: StateDirectory) -> None:
    state.announce({"pid": 42, "url": "http://127.0.0.1:1"})

    assert state.running() is None


def test_withdrawn_directory_is_free_again(state: StateDirectory) -> None:
    state.lock()
    state.withdraw()

    assert not state.locked()
    StateDirectory(state.path).lock()


def test_log_past_its_limit_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "trade.log"
    log.write_text("x" * 11)

    rotate(log, limit_bytes=10)

    assert not log.exists()
    assert (tmp_path / "trade.log.1").read_text() == "x" * 11


def test_log_within_its_limit_stays(tmp_path: Path) -> None:
    log = tmp_path / "trade.log"
    log.write_text("x" * 10)

    rotate(log, limit_bytes=10)

    assert log.exists()
