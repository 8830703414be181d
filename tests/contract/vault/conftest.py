"""Each test of this folder runs against the development store and, when there is one, a real server."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from alphapulse_local.embedded.vault_server import EmbeddedVault, vault_binary
from alphapulse_local.options import REPOSITORY
from tests.contract.vault.rig import Rig

_BINARY = vault_binary(REPOSITORY, os.environ.get("PATH", ""))
_NONE = "no OpenBao or Vault in .tools/bin or on PATH; `make bao` gets one"
_STORE, _REAL = "development-store", "real-server"


@contextlib.contextmanager
def _running(kind: str, directory: Path) -> Iterator[Rig]:
    server: EmbeddedSecretStore | EmbeddedVault
    if kind == _REAL and _BINARY is not None:
        server = EmbeddedVault(directory / "server", binary=_BINARY)
    else:
        server = EmbeddedSecretStore(directory / "server")
    try:
        server.start()
        rig = Rig(kind, server.url, server.root_token, directory / "credentials")
        rig.set_up()
        yield rig
        rig.session.close()
    finally:
        server.stop()


@pytest.fixture(scope="session", params=[_STORE, *([_REAL] if _BINARY is not None else [])])
def vault(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A server that is set up as in production."""
    with _running(request.param, tmp_path_factory.mktemp("vault")) as rig:
        yield rig


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Rig]]:
    """The development store and a real server; skips, with a reason, where there is none."""
    if _BINARY is None:
        pytest.skip(_NONE)
    with (
        _running(_STORE, tmp_path_factory.mktemp("store")) as store,
        _running(_REAL, tmp_path_factory.mktemp("real")) as real,
    ):
        yield store, real
