"""Each test of this folder runs against the development store and, when there is one, a real server."""

import os
from collections.abc import Iterator

import pytest

from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from alphapulse_local.embedded.vault_server import EmbeddedVault, vault_binary
from alphapulse_local.options import REPOSITORY
from tests.contract.vault.rig import Rig

_BINARY = vault_binary(REPOSITORY, os.environ.get("PATH", ""))
_NONE = pytest.mark.skip("no OpenBao or Vault in .tools/bin or on PATH; `make bao` gets one")
_KINDS = ["development-store", *(["real-server"] if _BINARY is not None else [])]


@pytest.fixture(scope="session", params=_KINDS)
def vault(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A server that is set up as in production."""
    directory = tmp_path_factory.mktemp("vault")
    server: EmbeddedSecretStore | EmbeddedVault
    if request.param == "real-server" and _BINARY is not None:
        server = EmbeddedVault(directory / "server", binary=_BINARY)
    else:
        server = EmbeddedSecretStore(directory / "server")
    try:
        server.start()
        rig = Rig(request.param, server.url, server.root_token, directory / "credentials")
        rig.set_up()
        yield rig
        rig.session.close()
    finally:
        server.stop()


@pytest.fixture(params=[pytest.param("real-server", marks=[] if _BINARY is not None else _NONE)])
def real_server() -> str:
    """The program of the real server; skips, with a reason, where there is none."""
    return str(_BINARY)
