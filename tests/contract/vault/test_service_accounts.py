"""Login of a function in a cluster: its service account's token, which the cluster's TokenReview judges."""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from alphapulse.tenancy.vault import KubernetesLogin, VaultConnection, VaultDenied, VaultServer
from alphapulse.tenancy.vault.bootstrap import apply
from alphapulse.tenancy.vault.configuration import Cluster, entries
from alphapulse.tenancy.vault.transport import blocking
from alphapulse_local.state import new_signing_key
from tests.contract.vault.rig import FILES, Rig
from tests.integration.broker_operations.certificates import Authority


class _Cluster(BaseHTTPRequestHandler):
    """The API server's TokenReview; it vouches for tokens of the key it knows."""

    public_key: Any

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status: dict[str, Any] = {"authenticated": False, "error": "unknown token"}
        with contextlib.suppress(jwt.InvalidTokenError):
            claims = jwt.decode(
                review["spec"]["token"],
                self.public_key,
                algorithms=["ES256"],
                options={"verify_aud": False},
            )
            user = {"username": claims["sub"], "uid": "u1", "groups": ["system:serviceaccounts"]}
            status = {"authenticated": True, "user": user, "audiences": claims["aud"]}
        body = json.dumps(
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}
        ).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _token(key: bytes, *, account: str, namespace: str = "alphapulse") -> str:
    now = int(time.time())
    claims = {
        "iss": "https://kubernetes.default.svc",
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "aud": ["https://kubernetes.default.svc"],
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": "u1"}},
    }
    return jwt.encode(claims, key, algorithm="ES256")


@pytest.fixture(scope="module")
def cluster(vault: Rig, signing_key: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    """A cluster that vouches for tokens of the key this gives, known to the server."""
    handler = type(
        "Handler", (_Cluster,), {"public_key": load_pem_private_key(signing_key, None).public_key()}
    )
    authority = Authority(tmp_path_factory.mktemp("cluster"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("api-server"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        # Outside a cluster the server has no token of its own: it asks with the one that is judged.
        api = Cluster(f"https://127.0.0.1:{server.server_address[1]}", authority.file.read_text())
        wanted = entries(FILES, methods=["approle", "kubernetes"], cluster=api)
        for changed in (len(wanted) - 14, 0):
            done = blocking(
                VaultServer(vault.address), vault.root_token, lambda a: apply(a, wanted), what="set up"
            )
            assert len(done) == changed
        yield signing_key
        server.shutdown()


async def _log_in(vault: Rig, role: str, token: str, directory: Path) -> list[str]:
    """Log in and work; return the names a new tenant has in its folder."""
    file = directory / "token"
    file.write_text(token)
    connection = VaultConnection(VaultServer(vault.address), KubernetesLogin(role, file))
    try:
        return await connection.tenant(await vault.new_tenant()).list()
    finally:
        await connection.close()


async def test_a_functions_service_account_logs_it_in(vault: Rig, cluster: bytes, tmp_path: Path) -> None:
    assert await _log_in(vault, "credentials", _token(cluster, account="credentials"), tmp_path) == []


@pytest.mark.parametrize(
    ("role", "account", "namespace"),
    [
        ("credentials", "portfolio", "alphapulse"),
        ("accounts", "credentials", "alphapulse"),
        ("credentials", "credentials", "default"),
    ],
)
async def test_another_service_account_does_not(
    vault: Rig, cluster: bytes, tmp_path: Path, role: str, account: str, namespace: str
) -> None:
    token = _token(cluster, account=account, namespace=namespace)

    with pytest.raises(VaultDenied):
        await _log_in(vault, role, token, tmp_path)


async def test_a_token_the_cluster_does_not_know_does_not(vault: Rig, cluster: bytes, tmp_path: Path) -> None:
    with pytest.raises(VaultDenied):
        await _log_in(
            vault, "credentials", _token(new_signing_key().encode(), account="credentials"), tmp_path
        )
