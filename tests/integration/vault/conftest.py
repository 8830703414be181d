"""A development store of this test alone: it is killed, stopped and started again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from tests.contract.vault.rig import Rig


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedSecretStore]:
    """A running store."""
    server = EmbeddedSecretStore(tmp_path / "store")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def vault(store: EmbeddedSecretStore, tmp_path: Path) -> Iterator[Rig]:
    """The store, set up from the repository's files."""
    rig = Rig("development-store", store.url, store.root_token, tmp_path / "credentials")
    rig.set_up()
    yield rig
    rig.session.close()
