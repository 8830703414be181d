"""The KV engine, version 2: versions, check-and-set, deletion, lists, as the server's API has them."""

from typing import Any

import pytest

from alphapulse.tenancy.tenant import TenantId
from tests.contract.vault.rig import Rig


@pytest.fixture
def path() -> str:
    return f"test/{TenantId.new()}"


def _write(vault: Rig, path: str, value: str, **options: Any) -> tuple[int, Any]:
    body: dict[str, Any] = {"data": {"value": value}}
    if options:
        body["options"] = options
    return vault.ask("POST", f"secret/data/{path}", body)


def _read(vault: Rig, path: str, version: int | None = None) -> str | None:
    query = f"?version={version}" if version is not None else ""
    status, answer = vault.ask("GET", f"secret/data/{path}{query}")
    return str(answer["data"]["data"]["value"]) if status == 200 else None


def test_every_write_is_a_version_and_the_newest_is_read(vault: Rig, path: str) -> None:
    versions = [_write(vault, path, value)[1]["data"]["version"] for value in ("a", "b")]

    assert versions == [1, 2]
    assert _read(vault, path) == "b"
    assert _read(vault, path, 1) == "a"
    assert _read(vault, path, 3) is None


def test_check_and_set_zero_creates_and_never_overwrites(vault: Rig, path: str) -> None:
    assert _write(vault, path, "a", cas=0)[0] == 200
    status, answer = _write(vault, path, "b", cas=0)

    assert status == 400
    assert "check-and-set" in answer["errors"][0]
    assert _read(vault, path) == "a"


def test_check_and_set_takes_the_newest_version_only(vault: Rig, path: str) -> None:
    _write(vault, path, "a")
    _write(vault, path, "b")

    assert _write(vault, path, "c", cas=1)[0] == 400
    assert _write(vault, path, "c", cas=2)[0] == 200
    assert _read(vault, path) == "c"


def test_a_secret_that_requires_check_and_set_refuses_a_write_without(vault: Rig, path: str) -> None:
    vault.ask("POST", f"secret/metadata/{path}", {"cas_required": True})

    assert _write(vault, path, "a")[0] == 400
    assert _write(vault, path, "a", cas=0)[0] == 200


def test_versions_beyond_the_most_kept_go(vault: Rig, path: str) -> None:
    vault.ask("POST", f"secret/metadata/{path}", {"max_versions": 2})
    for value in ("a", "b", "c"):
        _write(vault, path, value)

    assert [_read(vault, path, version) for version in (1, 2, 3)] == [None, "b", "c"]


def test_a_deleted_version_answers_404_with_its_metadata_and_can_come_back(vault: Rig, path: str) -> None:
    _write(vault, path, "a")
    assert vault.ask("DELETE", f"secret/data/{path}")[0] == 204

    status, answer = vault.ask("GET", f"secret/data/{path}")
    assert status == 404
    assert answer["data"]["data"] is None
    assert answer["data"]["metadata"]["deletion_time"]

    vault.ask("POST", f"secret/undelete/{path}", {"versions": [1]})
    assert _read(vault, path) == "a"


def test_single_versions_can_be_deleted(vault: Rig, path: str) -> None:
    _write(vault, path, "a")
    _write(vault, path, "b")

    assert vault.ask("POST", f"secret/delete/{path}", {"versions": [1]})[0] == 204
    assert [_read(vault, path, version) for version in (1, 2)] == [None, "b"]


def test_a_destroyed_version_never_comes_back(vault: Rig, path: str) -> None:
    _write(vault, path, "a")
    _write(vault, path, "b")
    vault.ask("POST", f"secret/destroy/{path}", {"versions": [1]})
    vault.ask("POST", f"secret/undelete/{path}", {"versions": [1]})

    assert [_read(vault, path, version) for version in (1, 2)] == [None, "b"]
    metadata = vault.ask("GET", f"secret/metadata/{path}")[1]["data"]
    assert metadata["versions"]["1"]["destroyed"] is True
    assert metadata["current_version"] == 2


def test_removing_the_metadata_removes_all_versions_and_the_count_begins_anew(vault: Rig, path: str) -> None:
    _write(vault, path, "a")
    _write(vault, path, "b")
    assert vault.ask("DELETE", f"secret/metadata/{path}")[0] == 204

    assert _read(vault, path, 1) is None
    assert vault.ask("GET", f"secret/metadata/{path}")[0] == 404
    assert _write(vault, path, "c", cas=0)[1]["data"]["version"] == 1


def test_removing_what_is_not_there_is_no_error(vault: Rig, path: str) -> None:
    assert vault.ask("DELETE", f"secret/metadata/{path}")[0] == 204


def test_lists_name_what_is_directly_below_and_mark_folders(vault: Rig, path: str) -> None:
    for name in ("b", "a", "folder/c"):
        _write(vault, f"{path}/{name}", "x")

    assert vault.ask("LIST", f"secret/metadata/{path}")[1]["data"]["keys"] == ["a", "b", "folder/"]
    assert vault.ask("LIST", f"secret/metadata/{path}/folder")[1]["data"]["keys"] == ["c"]
    assert vault.ask("LIST", f"secret/metadata/{path}/none")[0] == 404


def test_a_list_can_be_asked_for_with_get(vault: Rig, path: str) -> None:
    _write(vault, f"{path}/a", "x")

    assert vault.ask("GET", f"secret/metadata/{path}?list=true")[1]["data"]["keys"] == ["a"]


def test_a_write_without_data_is_refused(vault: Rig, path: str) -> None:
    assert vault.ask("POST", f"secret/data/{path}", {"value": "a"})[0] == 400


def test_what_does_not_exist_is_404_without_errors(vault: Rig, path: str) -> None:
    status, answer = vault.ask("GET", f"secret/data/{path}")

    assert (status, answer["errors"]) == (404, [])


def test_a_path_of_no_engine_is_404(vault: Rig) -> None:
    assert vault.ask("GET", "nowhere/data/x")[0] == 404


def test_health_needs_no_token(vault: Rig) -> None:
    status, answer = vault.ask("GET", "sys/health", token="")

    assert status == 200
    assert (answer["initialized"], answer["sealed"]) == (True, False)
