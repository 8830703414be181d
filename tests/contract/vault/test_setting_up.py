"""The command that makes a server hold what the files say."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alphapulse.tenancy.tenant import TenantId
from alphapulse.tenancy.vault import PlatformVault, bootstrap
from tests.contract.vault.rig import FILES, Rig


def _run(vault: Rig, *arguments: str, files: Path = FILES, token: str | None = None) -> tuple[int, str]:
    """Run the command in this process; return its status and what it said."""
    said = io.StringIO()
    environment = {
        "VAULT_ADDR": vault.address,
        "VAULT_TOKEN": vault.root_token if token is None else token,
    }
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        status = bootstrap.main(["--files", str(files), *arguments])
    return status, said.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the files, to be changed."""
    return Path(shutil.copytree(FILES, tmp_path / "files"))


def test_the_second_run_finds_nothing_to_do(vault: Rig) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "alphapulse.tenancy.vault.bootstrap", "--files", str(FILES)],
        env={"PATH": os.environ["PATH"], "VAULT_ADDR": vault.address, "VAULT_TOKEN": vault.root_token},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == ("changed 0 of 14; the others are as they should be\n", "")


def test_what_was_changed_by_hand_is_told_and_put_right(vault: Rig) -> None:
    vault.ask("POST", "auth/approle/role/credentials", {"token_policies": ["function", "root-like"]})
    vault.ask("PUT", "sys/policies/acl/function", {"policy": 'path "*" { capabilities = ["read"] }'})

    told = _run(vault, "--dry-run")[1]
    assert "~ AppRole credentials\n    token_policies: " in told
    assert "~ policy function\n    the text differs" in told
    assert "would change 2 of 14" in told

    assert "changed 2 of 14" in _run(vault)[1]
    assert "changed 0 of 14" in _run(vault)[1]


def test_a_dry_run_changes_nothing(vault: Rig, files: Path) -> None:
    name = f"test-{TenantId.new()}"
    (files / f"policies/{name}.hcl").write_text("# a new one")

    assert f"+ policy {name}" in _run(vault, "--dry-run", files=files)[1]
    assert vault.ask("GET", f"sys/policies/acl/{name}")[0] == 404


def test_a_new_function_gets_a_role_and_a_login(vault: Rig, files: Path, tmp_path: Path) -> None:
    name = f"test-{TenantId.new()}"
    document = json.loads((files / "functions.json").read_text())
    document["policies"] = {name: ["function"]}
    (files / "functions.json").write_text(json.dumps(document))

    output = _run(vault, "--credentials", str(tmp_path / "c"), files=files)[1]

    assert f"+ AppRole {name}" in output
    assert f"+ role id and secret id of {name}" in output
    pair = [(tmp_path / "c" / f"vault-{name}" / part) for part in ("role-id", "secret-id")]
    assert {oct(file.stat().st_mode & 0o777) for file in pair} == {"0o600"}
    body = {"role_id": pair[0].read_text(), "secret_id": pair[1].read_text()}
    assert vault.ask("POST", "auth/approle/login", body, token="")[0] == 200
    assert not any(file.read_text() in output for file in pair)


def test_logins_that_work_are_kept_and_others_replaced(vault: Rig, tmp_path: Path) -> None:
    _run(vault, "--credentials", str(tmp_path))
    kept, accounts = (tmp_path / f"vault-{name}" / "secret-id" for name in ("credentials", "accounts"))
    before = kept.read_text()
    vault.ask("POST", "auth/approle/role/accounts/secret-id/destroy", {"secret_id": accounts.read_text()})

    output = _run(vault, "--credentials", str(tmp_path))[1]

    assert "+ role id and secret id of accounts" in output
    assert "of credentials" not in output
    assert kept.read_text() == before


async def test_tenants_policies_are_brought_to_the_present_text_when_asked(vault: Rig) -> None:
    tenant_id = await vault.new_tenant()
    vault.ask("PUT", f"sys/policies/acl/tenant-{tenant_id}", {"policy": "# of an earlier version"})

    assert "changed 0 of 14" in _run(vault)[1]
    assert f"~ policy tenant-{tenant_id}\n    the text differs" in _run(vault, "--tenants")[1]
    async with vault.connection("provision-compensate") as connection:
        assert await PlatformVault(connection).tenant_exists(tenant_id)


def test_a_token_that_may_not_set_up_is_refused_without_a_traceback(vault: Rig) -> None:
    status, output = _run(vault, token=vault.function_token("credentials"))

    assert status == 1
    assert output == "bootstrap of Vault failed: Vault denies it: bootstrap\n"


def test_without_a_token_the_command_says_what_it_needs(vault: Rig) -> None:
    status, output = _run(vault, token="")

    assert status == 2
    assert "VAULT_TOKEN" in output


def test_a_broken_file_is_named(vault: Rig, files: Path) -> None:
    (files / "token-roles/tenant.json").write_text("{")

    status, output = _run(vault, files=files)

    assert status == 1
    assert "tenant.json is not JSON" in output


def test_logins_in_the_files_and_in_the_manifests_are_the_same() -> None:
    policies = json.loads((FILES / "functions.json").read_text())["policies"]
    mounted = {
        (file.stem, name)
        for file in (FILES.parents[1] / "base/functions").glob("*.yaml")
        for name in re.findall(r"secretName: vault-([a-z-]+)", file.read_text())
    }

    assert mounted == {(name, name) for name in policies}
