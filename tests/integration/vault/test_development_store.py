"""What is the development store's own: its files, its honesty, and what it refuses to pretend."""

import http.client
import json
from typing import Any

import pytest

from alphapulse_local.embedded.secret_store import EmbeddedSecretStore
from tests.contract.vault.rig import Rig


def _raw(store: EmbeddedSecretStore, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=5)
    try:
        connection.request(method, path, body=body, headers={"X-Vault-Token": store.root_token})
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw else None
    finally:
        connection.close()


def test_only_its_owner_can_read_what_it_keeps(vault: Rig, store: EmbeddedSecretStore) -> None:
    vault.ask("POST", "secret/data/x", {"data": {"a": "b"}})
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in store.directory.iterdir()}

    assert oct(store.directory.stat().st_mode & 0o777) == "0o700"
    assert {mode for name, mode in modes.items() if not name.endswith(".log")} == {"0o600"}


def test_it_says_that_it_is_not_vault(store: EmbeddedSecretStore) -> None:
    assert "This is not Vault." in store.log.read_text()
    assert "development" in _raw(store, "GET", "/v1/sys/health")[1]["version"]


def test_its_log_holds_no_secret(vault: Rig, store: EmbeddedSecretStore) -> None:
    vault.ask("POST", "secret/data/x", {"data": {"a": "hunter2"}})
    vault.ask("GET", "secret/data/none")
    vault.ask("POST", "auth/approle/login", {"role_id": "hunter3", "secret_id": "hunter4"}, token="")

    text = store.log.read_text()
    assert "/v1/secret/data/none 404" in text
    assert "hunter" not in text
    assert store.root_token not in text


def test_the_root_token_is_made_once(store: EmbeddedSecretStore) -> None:
    before = store.root_token
    store.stop()
    store.start()

    assert store.root_token == before
    assert _raw(store, "GET", "/v1/sys/mounts")[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sys/mounts/transit", {"type": "transit"}),
        ("sys/mounts/one", {"type": "kv", "options": {"version": "1"}}),
        ("sys/auth/userpass", {"type": "userpass"}),
        ("auth/token/roles/x", {"token_period": 60}),
        ("auth/token/roles/x", {"token_bound_cidrs": ["10.0.0.0/8"]}),
        ("auth/token/create", {"num_uses": 1}),
        ("auth/token/create", {"explicit_max_ttl": "1h"}),
        ("auth/approle/role/x", {"secret_id_bound_cidrs": ["10.0.0.0/8"]}),
        ("secret/metadata/x", {"delete_version_after": "1h"}),
        ("sys/policies/acl/x", {"policy": 'path "a/{{identity.entity.id}}" { capabilities = ["read"] }'}),
    ],
    ids=str,
)
def test_what_it_cannot_enforce_it_refuses(vault: Rig, path: str, body: dict[str, Any]) -> None:
    status, answer = vault.ask("POST", path, body)

    assert status == 400
    assert "not support" in answer["errors"][0]


@pytest.mark.parametrize(
    "path",
    ["/v1/secret/data/../config", "/v1/secret/data/%2e%2e/config", "/v1/secret//data/x", "/v1/./sys/mounts"],
)
def test_no_path_with_dots_or_empty_segments_is_served(store: EmbeddedSecretStore, path: str) -> None:
    assert _raw(store, "GET", path)[0] == 400


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b"x" * (1024 * 1024 + 1), 413), (b"\xff", 400)]
)
def test_a_body_that_is_no_object_is_refused(store: EmbeddedSecretStore, body: bytes, status: int) -> None:
    try:
        assert _raw(store, "POST", "/v1/secret/data/x", body)[0] == status
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413  # refused before all of it was sent


def test_nothing_outside_v1_is_served(store: EmbeddedSecretStore) -> None:
    assert _raw(store, "GET", "/ui/")[0] == 404
